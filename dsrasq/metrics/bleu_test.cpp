#include "dsrasq/metrics/bleu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dsrasq::metrics {
namespace {

using Texts = std::vector<std::string>;

Bleu bleu_of(const std::string& prediction, const Texts& references) {
  return bleu(bleu_counts(prediction, references, BleuTokenizer::k13a));
}

TEST(Bleu, EqualTextsOfFourTokensScore100) {
  EXPECT_NEAR(bleu_of("one two three four", {"one two three four"}).score, 100, 1e-9);
}

TEST(Bleu, FewerThanFourTokensScore0) {
  const Bleu found = bleu_of("one two three", {"one two three"});
  EXPECT_EQ(found.score, 0);
  EXPECT_DOUBLE_EQ(found.precisions[2], 100);
  EXPECT_EQ(found.precisions[3], 0);
}

TEST(Bleu, AShortPredictionIsPenalised) {
  const Bleu found = bleu_of("one two three four", {"one two three four five"});
  EXPECT_DOUBLE_EQ(found.brevity_penalty, std::exp(1 - 5.0 / 4));
  EXPECT_DOUBLE_EQ(found.score, 100 * found.brevity_penalty);
}

TEST(Bleu, EachOrderWithoutMatchesCountsHalfAsMuchAsTheOneBefore) {
  const Bleu found = bleu_of("a b c d", {"b a d c"});
  EXPECT_DOUBLE_EQ(found.precisions[0], 100);
  EXPECT_DOUBLE_EQ(found.precisions[1], 100 / (2.0 * 3));
  EXPECT_DOUBLE_EQ(found.precisions[2], 100 / (4.0 * 2));
  EXPECT_DOUBLE_EQ(found.precisions[3], 100 / (8.0 * 1));
}

TEST(Bleu, NothingInCommonScores0WithoutSmoothing) {
  const Bleu found = bleu_of("a b c d e", {"v w x y z"});
  EXPECT_EQ(found.score, 0);
  EXPECT_EQ(found.precisions[0], 0);
  EXPECT_EQ(found.brevity_penalty, 1);
}

TEST(Bleu, NoPredictionHasPenalty0) {
  EXPECT_EQ(bleu_of("", {"one"}).brevity_penalty, 0);
  EXPECT_EQ(bleu_of("", {""}).brevity_penalty, 1);
}

TEST(Bleu, OfTwoEquallyCloseReferencesTheShorterGivesTheLength) {
  EXPECT_EQ(bleu_counts("a b c", Texts{"a b c d", "a b"}, BleuTokenizer::k13a).n_reference, 2);
  EXPECT_EQ(bleu_counts("a b c", Texts{"a", "a b c d"}, BleuTokenizer::k13a).n_reference, 4);
}

TEST(Bleu, AnNgramMatchesAsOftenAsOneReferenceHasIt) {
  const BleuCounts counts =
      bleu_counts("the the the", Texts{"the cat", "the cat the"}, BleuTokenizer::k13a);
  EXPECT_EQ(counts.n_common[0], 2);
  EXPECT_EQ(counts.n_ngrams[0], 3);
}

TEST(Bleu, CountsAddUpOverACorpus) {
  BleuCounts sum = bleu_counts("a b", Texts{"a b c"}, BleuTokenizer::k13a);
  sum += bleu_counts("c d e f g", Texts{"c d e f g"}, BleuTokenizer::k13a);
  EXPECT_EQ(sum.n_prediction, 7);
  EXPECT_EQ(sum.n_reference, 8);
  EXPECT_EQ(sum.n_common, (std::array<int64_t, 4>{7, 5, 3, 2}));
  EXPECT_NEAR(bleu(sum).score, 100 * std::exp(1 - 8.0 / 7), 1e-9);
}

}  // namespace
}  // namespace dsrasq::metrics
