#include "dsrasq/metrics/bleu_tokenizer.h"

#include <gtest/gtest.h>

namespace dsrasq::metrics {
namespace {

std::string joined(const std::string& text, BleuTokenizer tokenizer) {
  std::string out;
  for (const std::string& token : bleu_tokens(text, tokenizer))
    out += (out.empty() ? "" : "|") + token;
  return out;
}
std::string tokens_13a(const std::string& text) { return joined(text, BleuTokenizer::k13a); }
std::string tokens_intl(const std::string& text) { return joined(text, BleuTokenizer::kIntl); }

TEST(BleuTokenizer, CommasAndStopsInsideNumbersStay) {
  EXPECT_EQ(tokens_13a("It costs $1,000.5, no?"), "It|costs|$|1,000.5|,|no|?");
  EXPECT_EQ(tokens_intl("It costs $1,000.5, no?"), "It|costs|$|1,000.5|,|no|?");
}

TEST(BleuTokenizer, AStopBehindTheLastNumberStaysOnlyInIntl) {
  EXPECT_EQ(tokens_13a("in 2000."), "in|2000|.");
  EXPECT_EQ(tokens_intl("in 2000."), "in|2000.");
}

TEST(BleuTokenizer, ADashStandsAloneBehindADigit) {
  EXPECT_EQ(tokens_13a("2000-2001 well-known"), "2000|-|2001|well-known");
  EXPECT_EQ(tokens_intl("2000-2001 well-known"), "2000-2001|well|-|known");
}

TEST(BleuTokenizer, EntitiesAreReadOnce) {
  EXPECT_EQ(tokens_13a("&quot;a&quot; &amp;lt;"), "\"|a|\"|<");
  EXPECT_EQ(tokens_intl("&lt;"), "&|lt|;");
}

TEST(BleuTokenizer, AWordCutAtALineEndIsJoinedAgain) {
  EXPECT_EQ(tokens_13a("hyphen-\nated line\nend-\n"), "hyphenated|line|end-");
}

TEST(BleuTokenizer, OnlyIntlSeparatesPunctuationBeyondAscii) {
  EXPECT_EQ(tokens_13a("\xE2\x80\x9Cyes\xE2\x80\x9D \xE2\x82\xAC"
                       "5"),
            "\xE2\x80\x9Cyes\xE2\x80\x9D|\xE2\x82\xAC"
            "5");
  EXPECT_EQ(tokens_intl("\xE2\x80\x9Cyes\xE2\x80\x9D \xE2\x82\xAC"
                        "5"),
            "\xE2\x80\x9C|yes|\xE2\x80\x9D|\xE2\x82\xAC|5");
}

TEST(BleuTokenizer, InvalidBytesBecomeASymbol) {
  EXPECT_EQ(tokens_intl("a\xFF"
                        "b"),
            "a|\xEF\xBF\xBD|b");
  EXPECT_EQ(tokens_13a("a\xFF"
                       "b"),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(BleuTokenizer, NothingButSpaceHasNoTokens) {
  EXPECT_TRUE(bleu_tokens(" \t\n", BleuTokenizer::k13a).empty());
  EXPECT_TRUE(bleu_tokens("", BleuTokenizer::kIntl).empty());
}

}  // namespace
}  // namespace dsrasq::metrics
