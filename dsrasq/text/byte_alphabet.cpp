#include "dsrasq/text/byte_alphabet.h"

#include <array>

#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

constexpr char32_t kLettersEnd = 0x100 + 68;  // bytes that are not printable go to 0x100 and up

struct Alphabet {
  std::array<std::string, 256> letters;
  std::array<int16_t, kLettersEnd> bytes;
};

Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.bytes.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    const char32_t letter = is_printable ? static_cast<char32_t>(byte) : next++;
    append_utf8(alphabet.letters[static_cast<size_t>(byte)], letter);
    alphabet.bytes[letter] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

const Alphabet& alphabet() {
  static const Alphabet made = make_alphabet();
  return made;
}

}  // namespace

std::string_view byte_letter(uint8_t byte) { return alphabet().letters[byte]; }

void append_letters(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) out += byte_letter(static_cast<uint8_t>(byte));
}

void append_bytes(std::string& out, std::string_view token) {
  const size_t before = out.size();
  for (size_t at = 0; at < token.size();) {
    const CodePoint point = read_code_point(token, at);
    const int byte = point.value < kLettersEnd ? alphabet().bytes[point.value] : -1;
    if (byte < 0) {
      out.resize(before);
      out += token;
      return;
    }
    out.push_back(static_cast<char>(byte));
    at += point.length;
  }
}

}  // namespace dsrasq::text
