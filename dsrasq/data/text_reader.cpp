#include "dsrasq/data/text_reader.h"

#include <algorithm>
#include <string_view>

#include "dsrasq/core/error.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInTextReader = "data.text_reader";
constexpr size_t kHeadBytes = 1 << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The length of the UTF-8 sequence at the start of `text`; 0 when there is none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < n) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool is_wrong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
                        (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F);
  return is_wrong ? 0 : n;
}

// `is_cut`: the file goes on, so a sequence cut off at the end is no fault.
void check_is_text(std::string_view head, bool is_cut, const std::string& name) {
  const size_t nul = head.find('\0');
  DSRASQ_CHECK(nul == std::string_view::npos, kBadInput, kInTextReader, name,
               " is not a text file: NUL byte at offset ", nul);
  size_t n_invalid = 0, first_invalid = 0;
  for (size_t at = 0; at < head.size();) {
    if (is_cut && head.size() - at < 4) break;
    const size_t n = sequence_length(head.substr(at));
    if (n == 0 && n_invalid++ == 0) first_invalid = at;
    at += std::max<size_t>(n, 1);
  }
  DSRASQ_CHECK(n_invalid * 10 <= head.size(), kBadInput, kInTextReader, name,
               " is not a text file: ", n_invalid, " of its first ", head.size(),
               " bytes are not UTF-8, the first at offset ", first_invalid);
}

}  // namespace

TextReader::TextReader(const std::filesystem::path& path, const ReadOptions& options)
    : stream_(path, options.max_bytes), options_(options), buffer_(kHeadBytes) {
  DSRASQ_CHECK(refill(), kBadInput, kInTextReader, name(), " is empty");
  const std::string_view head(buffer_.data(), end_);
  check_is_text(head, end_ == buffer_.size(), name());
  if (head.starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
}

bool TextReader::refill() {
  begin_ = 0;
  end_ = stream_.read(buffer_);
  return end_ > 0;
}

bool TextReader::next_line(std::string& line) {
  line.clear();
  if (begin_ == end_ && !refill()) return false;
  ++line_number_;
  do {
    const auto from = buffer_.begin() + static_cast<ptrdiff_t>(begin_);
    const auto to = buffer_.begin() + static_cast<ptrdiff_t>(end_);
    const auto newline = std::find(from, to, '\n');
    line.append(from, newline);
    DSRASQ_CHECK(line.size() <= options_.max_record_bytes, kBadInput, kInTextReader, name(),
                 " line ", line_number_, " is longer than ", options_.max_record_bytes, " bytes");
    begin_ = static_cast<size_t>(newline - buffer_.begin());
    if (newline != to) {
      ++begin_;
      break;
    }
  } while (refill());
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

std::string TextReader::rest() {
  std::string text;
  do {
    text.append(buffer_.data() + begin_, end_ - begin_);
  } while (refill());
  return text;
}

std::string_view TextReader::next_block() {
  if (begin_ == end_ && !refill()) return {};
  const std::string_view block(buffer_.data() + begin_, end_ - begin_);
  begin_ = end_;
  return block;
}

}  // namespace dsrasq::data
