#include "dsrasq/text/utf8.h"

#include <gtest/gtest.h>

namespace dsrasq::text {
namespace {

std::string repaired(std::string_view bytes) {
  std::string out;
  append_repaired(out, bytes, false);
  return out;
}

// What Python's bytes.decode(errors="replace").encode() gives.
TEST(Utf8Test, InvalidPartsAreReplacedAsPythonDoes) {
  const std::string r(kReplacementUtf8);
  EXPECT_EQ(repaired("a\xFFz"), "a" + r + "z");
  EXPECT_EQ(repaired("\xC0\x80"), r + r);                  // overlong
  EXPECT_EQ(repaired("\xED\xA0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(repaired("\xF4\x90\x80\x80"), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(repaired("\xE2\x82z"), r + "z");               // cut off by a letter: one part
  EXPECT_EQ(repaired("\xF0\x9F\x98"), r);                  // cut off by the end: one part
  EXPECT_EQ(repaired("\xF0\x80\x80\x80"), r + r + r + r);
  EXPECT_EQ(repaired("\xE2\x82\xAC\xF0\x9F\x98\x80"), "\xE2\x82\xAC\xF0\x9F\x98\x80");
}

TEST(Utf8Test, TheTailIsHeldOnlyWhileItCanBecomeACharacter) {
  std::string out;
  EXPECT_EQ(append_repaired(out, "ab\xF0\x9F\x98", true), 2u);
  EXPECT_EQ(out, "ab");
  EXPECT_EQ(append_repaired(out, "\xF0\x41", true), 2u);
  EXPECT_EQ(out, "ab" + std::string(kReplacementUtf8) + "A");
}

TEST(Utf8Test, EveryCodePointIsReadAsItWasWritten) {
  for (char32_t value = 0; value < 0x110000; value += value < 0x3000 ? 1 : 97) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text = "x";
    append_utf8(text, value);
    const CodePoint read = read_code_point(text, 1);
    ASSERT_TRUE(read.is_valid);
    ASSERT_EQ(read.value, value);
    ASSERT_EQ(read.length, text.size() - 1);
    ASSERT_EQ(read_code_point_before(text, text.size()).value, value);
  }
}

}  // namespace
}  // namespace dsrasq::text
