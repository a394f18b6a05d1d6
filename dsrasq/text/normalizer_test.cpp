#include "dsrasq/text/normalizer.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"

namespace dsrasq::text {
namespace {

std::string in_form(UnicodeForm form, std::string_view text) {
  Normalizer normalizer;
  normalizer.steps.emplace_back(form);
  return normalizer.apply(text);
}

// Rows of the Unicode Consortium's NormalizationTest.txt and its examples.
TEST(NormalizerTest, FormsAreThoseOfUnicode) {
  const auto nfc = [](std::string_view text) { return in_form(UnicodeForm::kNfc, text); };
  EXPECT_EQ(nfc("e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(nfc("\xE2\x84\xAB"), "\xC3\x85");                  // Angstrom sign
  EXPECT_EQ(nfc("\xE0\xA5\x98"), "\xE0\xA4\x95\xE0\xA4\xBC");  // excluded from composition
  EXPECT_EQ(nfc("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"), "\xED\x95\x9C");  // Hangul
  EXPECT_EQ(nfc("a\xCC\x88\xCC\xA3"), "\xE1\xBA\xA1\xCC\x88");  // reordered, then composed
  EXPECT_EQ(nfc("\xCC\x81 plain"), "\xCC\x81 plain");
  EXPECT_EQ(in_form(UnicodeForm::kNfd, "\xC3\xA9"), "e\xCC\x81");
  EXPECT_EQ(in_form(UnicodeForm::kNfkc, "\xEF\xAC\x81 \xC2\xBD \xEF\xBD\xB6\xEF\xBE\x9E"),
            "fi 1\xE2\x81\x84\x32 \xE3\x82\xAC");
  EXPECT_EQ(in_form(UnicodeForm::kNfkd, "\xEF\xAC\x81\xC3\xA9"), "fie\xCC\x81");
}

TEST(NormalizerTest, ALongRunOfMarksIsSortedFast) {
  std::string text = "a";
  for (int i = 0; i < 200000; ++i) text += i % 2 == 0 ? "\xCC\x81" : "\xCC\xA3";
  EXPECT_EQ(in_form(UnicodeForm::kNfd, text).substr(1, 4), "\xCC\xA3\xCC\xA3");
}

TEST(NormalizerTest, PlacesPointIntoTheSource) {
  Normalizer normalizer;
  normalizer.steps.emplace_back(Prepend{"__"});
  normalizer.steps.emplace_back(UnicodeForm::kNfc);
  normalizer.steps.emplace_back(Lowercase{});
  normalizer.steps.emplace_back(ReplaceLiteral{" ", "--"});
  AlignedText text;
  text.assign("E\xCC\x81 b\xFFz");
  normalizer.apply(text, false);
  ASSERT_EQ(text.text(), "__\xC3\xA9--b\xEF\xBF\xBDz");
  const auto source_of = [&](uint32_t begin, uint32_t end) {
    const ByteRange range = text.source_of({begin, end});
    return std::pair(range.begin, range.end);
  };
  EXPECT_EQ(source_of(0, 2), std::pair(0u, 0u));
  EXPECT_EQ(source_of(2, 4), std::pair(0u, 3u));
  EXPECT_EQ(source_of(4, 5), std::pair(3u, 4u));
  EXPECT_EQ(source_of(4, 7), std::pair(3u, 5u));
  EXPECT_EQ(source_of(7, 10), std::pair(5u, 6u));
  EXPECT_EQ(source_of(0, 11), std::pair(0u, 7u));
}

TEST(NormalizerTest, NothingIsPutBeforeATextThatContinues) {
  Normalizer normalizer;
  normalizer.steps.emplace_back(Prepend{"_"});
  AlignedText text;
  text.assign("ab");
  normalizer.apply(text, true);
  EXPECT_EQ(text.text(), "ab");
  EXPECT_EQ(normalizer.apply("ab"), "_ab");
  EXPECT_EQ(normalizer.apply(""), "");
}

TEST(NormalizerTest, ReplacementsThatGrowWithoutEndAreRefused) {
  Normalizer normalizer;
  for (int i = 0; i < 60; ++i) normalizer.steps.emplace_back(ReplaceLiteral{"a", "aa"});
  try {
    normalizer.apply("aaaa");
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find("normalising makes more than 65792 bytes"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace dsrasq::text
