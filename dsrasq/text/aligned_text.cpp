#include "dsrasq/text/aligned_text.h"

#include "dsrasq/core/error.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

uint64_t max_size_of(uint64_t source_bytes) { return (1 << 16) + source_bytes * 64; }

}  // namespace

void AlignedText::assign(std::string_view source) {
  is_view_ = true;
  view_ = source;
  base_ = 0;
  max_size_ = max_size_of(source.size());
  if (is_valid_utf8(source)) return;
  for (uint32_t at = 0; at < source.size();) {
    const CodePoint found = read_code_point(source, at);
    const ByteRange range{at, at + found.length};
    if (found.is_valid) {
      keep(range);
    } else {
      put(kReplacementUtf8, range);
    }
    at = range.end;
  }
  finish_edit();
}

void AlignedText::assign_slice(const AlignedText& other, ByteRange range) {
  is_view_ = other.is_view_;
  max_size_ = max_size_of(range.end - range.begin);
  if (is_view_) {
    view_ = other.view_.substr(range.begin, range.end - range.begin);
    base_ = other.base_ + range.begin;
    return;
  }
  text_.assign(other.text_, range.begin, range.end - range.begin);
  places_.assign(other.places_.begin() + range.begin, other.places_.begin() + range.end);
}

ByteRange AlignedText::source_of(ByteRange range) const {
  if (is_view_) return {base_ + range.begin, base_ + range.end};
  if (places_.empty()) return {0, 0};
  const bool at_end = range.begin >= places_.size();
  const uint32_t begin = at_end ? places_.back().end : places_[range.begin].begin;
  return {begin, range.end > range.begin ? places_[range.end - 1].end : begin};
}

void AlignedText::keep(ByteRange range) {
  next_text_.append(text().substr(range.begin, range.end - range.begin));
  if (!is_view_) {
    next_places_.insert(next_places_.end(), places_.begin() + range.begin,
                        places_.begin() + range.end);
    return;
  }
  for (uint32_t at = range.begin; at < range.end; ++at)
    next_places_.push_back({base_ + at, base_ + at + 1});
}

void AlignedText::put(std::string_view replacement, ByteRange range) {
  DSRASQ_CHECK(next_text_.size() + replacement.size() <= max_size_, kBadInput, "text.tokenizer",
               "normalising makes more than ", max_size_, " bytes of a text of ", size());
  next_text_.append(replacement);
  next_places_.insert(next_places_.end(), replacement.size(), source_of(range));
}

void AlignedText::finish_edit() {
  text_.swap(next_text_);
  places_.swap(next_places_);
  next_text_.clear();
  next_places_.clear();
  is_view_ = false;
}

}  // namespace dsrasq::text
