#include "dsrasq/core/hash.h"

#include <gtest/gtest.h>

namespace dsrasq {
namespace {

std::span<const std::byte> bytes_of(std::string_view s) {
  return std::as_bytes(std::span(s.data(), s.size()));
}

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c(bytes_of("")), 0u);
}

TEST(Crc32c, ContinuesAcrossCalls) {
  const std::string_view text = "a rotating compressive cache";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(crc32c(bytes_of(text.substr(cut)), crc32c(bytes_of(text.substr(0, cut)))),
              crc32c(bytes_of(text)));
}

TEST(Fingerprint, DependsOnEveryByteAndOnTheCuts) {
  Fingerprint a, b, c;
  a.add("abc");
  b.add("abd");
  c.add("ab");
  c.add("c");
  EXPECT_NE(a.value(), b.value());
  EXPECT_NE(a.value(), c.value());
  EXPECT_EQ(a.hex().size(), 16u);
}

}  // namespace
}  // namespace dsrasq
