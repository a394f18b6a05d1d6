#include "dsrasq/metrics/rouge_longbench.h"

#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::metrics {
namespace {

using Texts = std::vector<std::string>;

TEST(RougeLongbench, EqualTextsScoreAlmost1) {
  EXPECT_NEAR(rouge_longbench("The cat sat.", Texts{"The cat sat."}), 1, 1e-8);
}

TEST(RougeLongbench, ARepeatedWordCountsOnce) {
  EXPECT_NEAR(rouge_longbench("a a a a", Texts{"a"}), 1, 1e-8);
}

TEST(RougeLongbench, ATextOfNothingButStopsScores0) {
  EXPECT_EQ(rouge_longbench("...", Texts{"a"}), 0);
  EXPECT_EQ(rouge_longbench("a", Texts{""}), 0);
  EXPECT_EQ(rouge_longbench("a", Texts{}), 0);
}

TEST(RougeLongbench, ASpaceBehindTheLastStopIsAnEmptyWordAsInThePackage) {
  EXPECT_NEAR(rouge_longbench("a. ", Texts{"b. "}), 0.5, 1e-8);
}

TEST(RougeLongbench, TheBestReferenceCounts) {
  EXPECT_NEAR(rouge_longbench("x y", Texts{"z", "x y"}), 1, 1e-8);
}

TEST(RougeLongbench, ASentenceOfThousandsOfWordsIsNoFailure) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + " ";
  EXPECT_NEAR(rouge_longbench(text, Texts{text}), 1, 1e-8);
}

}  // namespace
}  // namespace dsrasq::metrics
