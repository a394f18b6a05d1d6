#include "dsrasq/formats/byte_reader.h"

#include <bit>

#include "dsrasq/core/error.h"

namespace dsrasq::formats {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

std::string printable_text(std::string_view text) {
  constexpr size_t kMaxBytes = 80;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, kMaxBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out + (text.size() > kMaxBytes ? "..." : "");
}

std::string quoted_text(std::string_view text) { return '"' + printable_text(text) + '"'; }

void ByteReader::fail(std::string_view message) const {
  throw Error(ErrorCode::kBadInput, where_, concat(file_, ": ", message));
}

void ByteReader::fail_short(uint64_t n, std::string_view what) const {
  fail(concat("ends inside ", what, " (", n, " bytes wanted at offset ", position_, ", ",
              remaining(), " left)"));
}

}  // namespace dsrasq::formats
