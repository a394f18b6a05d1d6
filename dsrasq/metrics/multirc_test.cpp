#include "dsrasq/metrics/multirc.h"

#include <gtest/gtest.h>

namespace dsrasq::metrics {
namespace {

TEST(MultiRc, OneWrongOptionMakesAQuestionInexact) {
  MultiRcCounts counts;
  counts.add({"0", "2"}, {"2", "0"});
  counts.add({"1"}, {"1", "3"});
  counts.add({"1", "2"}, {"1"});
  EXPECT_DOUBLE_EQ(counts.exact_match(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(counts.f1a(), 2 * 0.8 * 0.8 / (0.8 + 0.8));
}

TEST(MultiRc, AQuestionWithoutRightOptionsIsExactWhenNoneIsChosen) {
  MultiRcCounts counts;
  counts.add({}, {});
  EXPECT_EQ(counts.exact_match(), 1);
  EXPECT_EQ(counts.f1a(), 0);
}

TEST(MultiRc, NoQuestionsScore0) {
  EXPECT_EQ(MultiRcCounts{}.exact_match(), 0);
  EXPECT_EQ(MultiRcCounts{}.f1a(), 0);
}

}  // namespace
}  // namespace dsrasq::metrics
