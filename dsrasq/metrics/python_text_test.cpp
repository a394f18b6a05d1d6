#include "dsrasq/metrics/python_text.h"

#include <gtest/gtest.h>

namespace dsrasq::metrics {
namespace {

TEST(PythonText, EachBrokenSequenceBecomesOneReplacement) {
  EXPECT_EQ(repaired("a\xF0\x9F\x98z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(repaired("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(PythonText, LowerCaseOfSomeLettersIsLongerOrAscii) {
  EXPECT_EQ(lower("\xC4\xB0"), "i\xCC\x87");  // I with a dot
  EXPECT_EQ(lower("\xE2\x84\xAA"
                  "elvin"),
            "kelvin");  // the Kelvin sign
}

TEST(PythonText, ASigmaAtTheEndOfAWordIsFinal) {
  const std::string capital = "\xCE\xA3", small = "\xCF\x83", final = "\xCF\x82";
  EXPECT_EQ(lower("A" + capital), "a" + final);
  EXPECT_EQ(lower("A" + capital + "."), "a" + final + ".");
  EXPECT_EQ(lower("A" + capital + ".B"), "a" + small + ".b");
  EXPECT_EQ(lower(capital), small);
  EXPECT_EQ(lower(capital + capital), small + final);
}

TEST(PythonText, SplitsAtAllUnicodeSpaceAndAtSeparators) {
  EXPECT_EQ(split_at_space(" a\xC2\xA0"
                           "b\x1C"
                           "c\xE3\x80\x80"),
            (std::vector<std::string_view>{"a", "b", "c"}));
  EXPECT_TRUE(split_at_space("").empty());
  EXPECT_EQ(split_at_space("a\xE2\x80\x8B"
                           "b")
                .size(),
            1u);  // a space of no width
}

TEST(PythonText, StripsBothSidesOrTheRight) {
  EXPECT_EQ(strip(" a b\n"), "a b");
  EXPECT_EQ(strip_right(" a b\n"), " a b");
}

TEST(PythonText, ReplacesFromLeftToRight) {
  EXPECT_EQ(replaced("aaa", "aa", "b"), "ba");
  EXPECT_EQ(replaced("abc", "x", ""), "abc");
}

TEST(PythonText, MarksAreNoPartOfAWord) {
  EXPECT_TRUE(is_word(U'\u00E9'));
  EXPECT_TRUE(is_word(U'\u0663'));
  EXPECT_TRUE(is_word(U'_'));
  EXPECT_FALSE(is_word(U'\u0301'));
}

}  // namespace
}  // namespace dsrasq::metrics
