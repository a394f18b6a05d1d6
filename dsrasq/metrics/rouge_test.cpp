#include "dsrasq/metrics/rouge.h"

#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::metrics {
namespace {

using Texts = std::vector<std::string>;

TEST(Rouge, PrecisionIsOfThePredictionAndRecallOfTheReference) {
  const RougeScores found = rouge("the quick dog", Texts{"the quick brown fox"}, false);
  EXPECT_DOUBLE_EQ(found.rouge1.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.rouge1.recall, 2.0 / 4);
  EXPECT_DOUBLE_EQ(found.rouge2.precision, 1.0 / 2);
  EXPECT_DOUBLE_EQ(found.rouge2.recall, 1.0 / 3);
}

TEST(Rouge, OnlyAsciiLettersAndDigitsMakeTokens) {
  EXPECT_DOUBLE_EQ(rouge("don't", Texts{"don t"}, false).rouge_l.fmeasure, 1);
  EXPECT_EQ(
      rouge("\xE4\xBD\xA0\xE5\xA5\xBD", Texts{"\xE4\xBD\xA0\xE5\xA5\xBD"}, false).rouge1.fmeasure,
      0);
  EXPECT_DOUBLE_EQ(rouge("caf\xC3\xA9", Texts{"caf"}, false).rouge1.fmeasure, 1);
}

TEST(Rouge, StemsOnlyTokensOfMoreThanThreeCharacters) {
  EXPECT_DOUBLE_EQ(rouge("running", Texts{"runs"}, true).rouge1.fmeasure, 1);
  EXPECT_EQ(rouge("running", Texts{"runs"}, false).rouge1.fmeasure, 0);
  EXPECT_EQ(rouge("gas", Texts{"ga"}, true).rouge1.fmeasure, 0);
}

TEST(Rouge, SentencesInAnotherOrderOnlyMatterToTheWholeText) {
  const RougeScores found = rouge("c d\na b", Texts{"a b\nc d"}, false);
  EXPECT_DOUBLE_EQ(found.rouge_l.fmeasure, 0.5);
  EXPECT_DOUBLE_EQ(found.rouge_lsum.fmeasure, 1);
}

TEST(Rouge, TheUnionOverSentencesCountsATokenOnce) {
  // Lin 2004, section 3.2: w1 w2 w3 w4 w5 against w1 w2 w6 w7 w8 and w1 w3 w8 w9 w5.
  const RougeScores found = rouge("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", Texts{"w1 w2 w3 w4 w5"}, false);
  EXPECT_DOUBLE_EQ(found.rouge_lsum.recall, 4.0 / 5);
  EXPECT_DOUBLE_EQ(found.rouge_lsum.precision, 4.0 / 10);
}

TEST(Rouge, EachScoreTakesItsOwnBestReference) {
  const RougeScores found = rouge("a b c d", Texts{"d c b a", "a b x y"}, false);
  EXPECT_DOUBLE_EQ(found.rouge1.fmeasure, 1);
  EXPECT_DOUBLE_EQ(found.rouge2.fmeasure, 1.0 / 3);
}

TEST(Rouge, OfEquallyGoodReferencesTheFirstCounts) {
  const RougeScores found = rouge("a b", Texts{"a", "a b c d"}, false);
  EXPECT_DOUBLE_EQ(found.rouge1.precision, 0.5);
  EXPECT_DOUBLE_EQ(found.rouge1.recall, 1);
}

TEST(Rouge, EmptyTextsScore0) {
  for (const char* text : {"", " ", "\n\n", "..."}) {
    const RougeScores found = rouge(text, Texts{"a b"}, true);
    EXPECT_EQ(found.rouge1.fmeasure + found.rouge2.fmeasure + found.rouge_l.fmeasure +
                  found.rouge_lsum.fmeasure,
              0);
  }
  EXPECT_EQ(rouge("a", Texts{}, false).rouge1.fmeasure, 0);
}

}  // namespace
}  // namespace dsrasq::metrics
