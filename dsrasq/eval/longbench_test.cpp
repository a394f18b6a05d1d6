#include "dsrasq/eval/longbench.h"

#include <gtest/gtest.h>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

double score(const char* set, const std::string& prediction, std::vector<std::string> references,
             std::vector<std::string> classes = {}) {
  data::TaskSample sample{.references = std::move(references)};
  for (std::string& name : classes) sample.options.push_back({std::move(name)});
  return longbench_score(longbench_set(set), prediction, sample);
}

TEST(LongBench, BestReferenceCounts) {
  EXPECT_DOUBLE_EQ(score("hotpotqa", "the red car", {"blue", "red car"}), 1);
  EXPECT_DOUBLE_EQ(score("hotpotqa", "red bus", {"red car"}), 0.5);
  EXPECT_NEAR(score("gov_report", "a b c d", {"a b x y"}), 0.5, 1e-6);
}

TEST(LongBench, ClassesThatAreNamedTooShareTheScore) {
  const std::vector<std::string> classes{"Food", "Other entity", "Individual", "Food and drink"};
  EXPECT_DOUBLE_EQ(score("trec", "Food", {"Food"}, classes), 1);
  EXPECT_DOUBLE_EQ(score("trec", "Individual or Food", {"Food"}, classes), 0.5);
  EXPECT_DOUBLE_EQ(score("trec", "Individual", {"Food"}, classes), 0);
  // "Food" is part of the right name, so it is no mistake.
  EXPECT_DOUBLE_EQ(score("trec", "Food and drink", {"Food and drink"}, classes), 1);
}

TEST(LongBench, AClassBehindOneThatIsTakenOutIsPassedOver) {
  // As in the package: "a" goes, so "ab" is never looked at and stays beside "abc".
  EXPECT_DOUBLE_EQ(score("trec", "abc", {"abc"}, {"a", "ab", "abc"}), 0.5);
}

TEST(LongBench, NumbersCountByTheirShare) {
  EXPECT_DOUBLE_EQ(score("passage_count", "7, no 8", {"7"}), 0.5);
  EXPECT_DOUBLE_EQ(score("passage_count", "seven", {"7"}), 0);
  EXPECT_DOUBLE_EQ(score("passage_retrieval_en", "Paragraph 12 (of 30)", {"Paragraph 12"}), 0.5);
  EXPECT_DOUBLE_EQ(score("passage_retrieval_en", "112", {"Paragraph 12"}), 0);
}

TEST(LongBench, DataSetsAreKnownByNameAlsoOfLongBenchE) {
  EXPECT_EQ(longbench_set("gov_report_e").name, "gov_report");
  EXPECT_EQ(longbench_set("multi_news").max_tokens, 512);
  EXPECT_TRUE(longbench_set("trec").first_line);
  const std::string refusal = error_text([] { longbench_set("lcc"); }, ErrorCode::kInvalidArgument);
  EXPECT_HAS(refusal, "LongBench's data set \"lcc\" cannot be scored here, only narrativeqa, ");
}

}  // namespace
}  // namespace dsrasq::eval
