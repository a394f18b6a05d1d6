#include "dsrasq/metrics/answer_match.h"

#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::metrics {
namespace {

using Texts = std::vector<std::string>;

TEST(AnswerMatch, CasePunctuationArticlesAndSpacesDoNotCount) {
  EXPECT_EQ(normalized_answer("  The  Eiffel-Tower, a\tlandmark! "), "eiffeltower landmark");
}

TEST(AnswerMatch, AnArticleInsideAWordStays) {
  EXPECT_EQ(normalized_answer("an theatre aan"), "theatre aan");
}

TEST(AnswerMatch, AMarkIsNoPartOfAWordButALetterWithAccentIs) {
  EXPECT_EQ(normalized_answer("a\xCC\x81 x"), "\xCC\x81 x");
  EXPECT_EQ(normalized_answer("\xC3\xA0 a"), "\xC3\xA0");
}

TEST(AnswerMatch, AnyReferenceMayMatchExactly) {
  EXPECT_TRUE(exact_match("Paris.", Texts{"London", "the paris"}));
  EXPECT_FALSE(exact_match("Paris, France", Texts{"London", "Paris"}));
  EXPECT_FALSE(exact_match("Paris", Texts{}));
}

TEST(AnswerMatch, TheBestReferenceCountsForF1) {
  const PrecisionRecall found = answer_overlap("red green", Texts{"blue", "red yellow blue green"});
  EXPECT_DOUBLE_EQ(found.precision, 1);
  EXPECT_DOUBLE_EQ(found.recall, 0.5);
  EXPECT_DOUBLE_EQ(found.fmeasure, 2.0 / 3);
}

TEST(AnswerMatch, AWordCountsAsOftenAsBothHaveIt) {
  EXPECT_DOUBLE_EQ(answer_overlap("no no no", Texts{"no no"}).precision, 2.0 / 3);
}

TEST(AnswerMatch, TwoEmptyAnswersAreEqualAndShareNoWord) {
  EXPECT_TRUE(exact_match("The", Texts{"..."}));
  EXPECT_EQ(answer_overlap("The", Texts{"..."}).fmeasure, 0);
}

TEST(AnswerMatch, BytesThatAreNoTextCountAsReplacementCharacters) {
  EXPECT_TRUE(exact_match("caf\xC3", Texts{"caf\xEF\xBF\xBD"}));
}

}  // namespace
}  // namespace dsrasq::metrics
