#include "dsrasq/text/regex.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"

namespace dsrasq::text {
namespace {

// Matches in brackets.
std::string marked(const char* pattern, std::string_view text) {
  std::vector<Match> matches;
  Regex(pattern).find_all(text, 0, matches);
  std::string out;
  for (const Match& match : matches) {
    const auto part = text.substr(match.range.begin, match.range.end - match.range.begin);
    out += match.is_match ? "[" + std::string(part) + "]" : std::string(part);
  }
  return out;
}

std::string error_of(const std::string& pattern, std::string_view text) {
  try {
    std::vector<Match> matches;
    Regex(pattern).find_all(text, 0, matches);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  return "no error";
}

TEST(RegexTest, StretchesCoverTheText) {
  EXPECT_EQ(marked("[0-9]+", "ab12c3"), "ab[12]c[3]");
  EXPECT_EQ(marked("[0-9]+", ""), "");
  EXPECT_EQ(marked("x", "ab"), "ab");
}

TEST(RegexTest, EmptyMatchesAdvance) {
  EXPECT_EQ(marked("(?=b)", "abab"), "a[]ba[]b");
  EXPECT_EQ(marked("", "ab"), "[]a[]b[]");
  EXPECT_EQ(marked("b*", "abb\xC3\xA9"), "[]a[bb]\xC3\xA9[]");
}

TEST(RegexTest, SpacesAreThoseOfUnicode) {
  EXPECT_EQ(marked(R"(\s+)", "a\xC2\x85\xC2\xA0"), "a[\xC2\x85\xC2\xA0]");
  EXPECT_EQ(marked(R"(\s+)", "a\xE1\xA0\x8E"), "a\xE1\xA0\x8E");  // U+180E is none
  EXPECT_EQ(marked(R"(\S+)", " \xE1\xA0\x8E "), " [\xE1\xA0\x8E] ");
  EXPECT_EQ(marked(R"([^\s\]a]+)", "a\xE1\xA0\x8E]b c"), "a[\xE1\xA0\x8E]][b] [c]");
  EXPECT_EQ(marked(R"([]\s]+)", "a] \\s"), "a[] ]\\s");
}

TEST(RegexTest, WhatIsNoPatternIsNamedWithItsPlace) {
  EXPECT_EQ(error_of("a(b", ""),
            "[text.regex] not a pattern: missing closing parenthesis at byte 3");
  EXPECT_EQ(error_of(std::string(20000, 'a'), ""),
            "[text.regex] the pattern has 20000 bytes, want at most 16384");
}

TEST(RegexTest, ACatastrophicPatternEndsInAnError) {
  EXPECT_NE(error_of("(a+)+$", std::string(64, 'a') + "b").find("gives up on this text"),
            std::string::npos);
}

}  // namespace
}  // namespace dsrasq::text
