#pragma once

// UTF-8: reading code points, and repairing what is not valid.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dsrasq::text {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

/// What stands at one position of a text.
struct CodePoint {
  char32_t value;   ///< kReplacement where the bytes are not valid
  uint32_t length;  ///< bytes; of an invalid place its longest part that begins a valid sequence
  bool is_valid;
  bool is_cut_off;  ///< the text ended before the sequence did
};

/// For a position whose first byte is not ASCII.
CodePoint read_multibyte(std::string_view text, size_t at);

/// The code point at `at`, which must be less than the size.
inline CodePoint read_code_point(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {first, 1, true, false};
  return read_multibyte(text, at);
}

/// The code point that ends just before `at` (at least 1).
CodePoint read_code_point_before(std::string_view text, size_t at);

void append_utf8(std::string& out, char32_t value);

bool is_valid_utf8(std::string_view text);

/// Appends `bytes` with every invalid part replaced by U+FFFD, as Python's
/// `bytes.decode(errors="replace")` does. With `hold_tail`, a sequence that the end cuts off is
/// left alone. Returns how many bytes were used.
size_t append_repaired(std::string& out, std::string_view bytes, bool hold_tail);

}  // namespace dsrasq::text
