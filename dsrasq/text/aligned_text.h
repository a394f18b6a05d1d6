#pragma once

// A text on its way to the model: what it reads now, and which source bytes each byte stands for.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::text {

/// Bytes [begin, end) of a text.
struct ByteRange {
  uint32_t begin, end;
};

/// Starts as a view of its source and turns into a copy at the first edit. An edit is a run of
/// `keep` and `put` calls, in the order of the text, closed by `finish_edit`.
class AlignedText {
 public:
  /// `source` must outlive this and hold less than 2^32 bytes. Invalid UTF-8 becomes U+FFFD.
  void assign(std::string_view source);
  /// Bytes `range` of another text, with their places in its source.
  void assign_slice(const AlignedText& other, ByteRange range);

  std::string_view text() const { return is_view_ ? view_ : std::string_view(text_); }
  uint32_t size() const { return static_cast<uint32_t>(text().size()); }
  /// The source bytes that bytes `range` of the text stand for.
  ByteRange source_of(ByteRange range) const;

  /// Takes over bytes `range` of the text as they are.
  void keep(ByteRange range);
  /// Writes `replacement` for bytes `range` of the text (an empty range inserts). Throws kBadInput
  /// when the text grows beyond all measure: a file with hostile replacements.
  void put(std::string_view replacement, ByteRange range);
  /// How long the edited text is so far.
  uint32_t edited_size() const { return static_cast<uint32_t>(next_text_.size()); }
  void finish_edit();

 private:
  bool is_view_ = true;
  std::string_view view_;
  uint64_t max_size_ = 0;
  uint32_t base_ = 0;  // of the view in the source
  std::string text_, next_text_;
  std::vector<ByteRange> places_, next_places_;  // of each byte in the source
};

}  // namespace dsrasq::text
