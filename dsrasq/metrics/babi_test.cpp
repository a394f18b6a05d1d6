#include "dsrasq/metrics/babi.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"

namespace dsrasq::metrics {
namespace {

constexpr int kWhereIs = 1;
constexpr int kHowMany = 7;
constexpr int kCarrying = 8;
constexpr int kWay = 19;

bool correct(int task, const char* output, const char* target, const char* question = "") {
  return babi_correct(output, target, question, babi_labels(task));
}

TEST(Babi, OnlyTheFirstSentenceCounts) {
  EXPECT_TRUE(correct(kWhereIs, "In the Garden. Not the kitchen.", "garden"));
  EXPECT_FALSE(correct(kWhereIs, "Well. The garden", "garden"));
}

TEST(Babi, ASecondLabelIsWrongUnlessTheQuestionHasIt) {
  EXPECT_FALSE(correct(kWhereIs, "garden or kitchen", "garden"));
  EXPECT_TRUE(correct(kWhereIs, "garden, then kitchen", "garden", "Where before the Kitchen?"));
}

TEST(Babi, AnInventedExampleIsCutOff) {
  EXPECT_TRUE(correct(kWhereIs, "garden<example>kitchen", "garden"));
  EXPECT_TRUE(correct(kWhereIs, "garden <context> kitchen", "garden"));
}

TEST(Babi, ATargetOfSeveralLabelsNeedsThemAllInAnyOrder) {
  EXPECT_TRUE(correct(kCarrying, "milk and apple", "apple,milk"));
  EXPECT_FALSE(correct(kCarrying, "milk", "apple,milk"));
  EXPECT_FALSE(correct(kCarrying, "milk, apple, football", "apple,milk"));
}

TEST(Babi, AWayOfTwoStepsIsOneLabel) { EXPECT_TRUE(correct(kWay, "n,e", "n,e")); }

TEST(Babi, NoneAlsoMentionsOneAsInTheReference) { EXPECT_FALSE(correct(kHowMany, "none", "none")); }

TEST(Babi, ATaskThatIsNotThereIsNamed) {
  for (int task = 1; task <= 20; ++task) EXPECT_FALSE(babi_labels(task).empty());
  try {
    babi_labels(21);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[metrics.babi] bAbI has no task 21, want 1 to 20");
  }
}

}  // namespace
}  // namespace dsrasq::metrics
