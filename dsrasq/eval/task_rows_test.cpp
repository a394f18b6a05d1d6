#include "dsrasq/eval/task_rows.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

Json line(const char* task, const char* id, const char* policy, double f1) {
  return {{"task", task},         {"id", id},
          {"policy", policy},     {"scores", {{"f1", f1}}},
          {"prompt_tokens", 100}, {"mean_retrieved", 8},
          {"seconds", 2},         {"cache_bytes", 1000}};
}

TEST(TaskRows, DifferencesArePairedBySample) {
  const Json rows =
      task_rows({line("t", "1", "full", 0.2), line("t", "1", "w", 0.1), line("t", "2", "full", 0.8),
                 line("t", "2", "w", 0.7), line("t", "3", "w", 1.0)});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["samples"], 2);
  EXPECT_DOUBLE_EQ(rows[0]["f1"], 0.5);
  EXPECT_EQ(rows[0]["f1_interval"], (Json{0.2, 0.8}));
  EXPECT_FALSE(rows[0].contains("f1_difference"));
  EXPECT_EQ(rows[1]["policy"], "w");
  EXPECT_EQ(rows[1]["samples"], 3);
  EXPECT_DOUBLE_EQ(rows[1]["f1"], 0.6);
  // The third sample has no partner; the other two are each 0.1 worse.
  EXPECT_NEAR(rows[1]["f1_difference"], -0.1, 1e-12);
  EXPECT_NEAR(rows[1]["f1_difference_interval"][0], -0.1, 1e-12);
  EXPECT_NEAR(rows[1]["f1_difference_interval"][1], -0.1, 1e-12);
  EXPECT_EQ(rows[1]["mean_retrieved"], 8);
  EXPECT_EQ(rows[1]["cache_bytes"], 1000);
}

TEST(TaskRows, SeveralTasksHaveAMeanInWhichEachCountsTheSame) {
  const Json rows =
      task_rows({line("a", "1", "full", 1), line("a", "2", "full", 1), line("b", "1", "full", 0.5),
                 line("a", "1", "w", 0), line("b", "1", "w", 1)});
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[0]["task"], "all");
  EXPECT_DOUBLE_EQ(rows[0]["f1"], 0.75);
  EXPECT_EQ(rows[0]["samples"], 3);
  EXPECT_EQ(rows[1]["policy"], "w");
  EXPECT_DOUBLE_EQ(rows[1]["f1_difference"], (-1 + 0.5) / 2);
  // The samples of each task are drawn by themselves, and here they are all alike.
  EXPECT_EQ(rows[0]["f1_interval"], (Json{0.75, 0.75}));
  EXPECT_EQ(rows[1]["f1_difference_interval"], (Json{-0.25, -0.25}));
  EXPECT_EQ(rows[2]["task"], "a");
}

TEST(TaskRows, TheIntervalOfAMeanOverTasksIsNarrowerThanThatOfEach) {
  Json lines = Json::array();
  for (const char* task : {"a", "b"})
    for (int i = 0; i < 40; ++i)
      for (const char* policy : {"full", "w"})
        lines.push_back(line(task, std::to_string(i).c_str(), policy, (i + (*policy == 'w')) % 2));
  const Json rows = task_rows(lines);
  const auto width = [&](size_t row, const char* name) {
    return rows[row][name][1].get<double>() - rows[row][name][0].get<double>();
  };
  EXPECT_EQ(rows[1]["task"], "all");
  EXPECT_GT(width(1, "f1_interval"), 0.1);
  EXPECT_LT(width(1, "f1_interval"), 0.8 * width(2, "f1_interval"));
  EXPECT_GT(width(1, "f1_difference_interval"), 0.2);
  EXPECT_LT(width(1, "f1_difference_interval"), 0.8 * width(3, "f1_difference_interval"));
}

TEST(TaskRows, HitRatesAreAveragedOverTheSamplesThatHaveThem) {
  Json with = line("t", "1", "w", 1);
  with["cache_hit_rate"] = 0.5;
  const Json rows = task_rows({with, line("t", "2", "w", 1), line("t", "1", "full", 1)});
  EXPECT_DOUBLE_EQ(rows[0]["cache_hit_rate"], 0.5);
  EXPECT_FALSE(rows[1].contains("cache_hit_rate"));
}

TEST(TaskRows, SupportIsAveragedOverTheSamplesThatHaveIt) {
  Json with = line("t", "1", "w", 1);
  with["retrieved_support"] = 0.5;
  with["support_share"] = 0.1;
  const Json rows = task_rows({with, line("t", "2", "w", 1)});
  EXPECT_DOUBLE_EQ(rows[0]["retrieved_support"], 0.5);
  EXPECT_DOUBLE_EQ(rows[0]["support_share"], 0.1);
}

TEST(TaskRows, LatencyIsGivenByPercentiles) {
  Json quick = line("t", "1", "w", 1), slow = line("t", "2", "w", 1);
  quick["first_token_seconds"] = 1;
  slow["first_token_seconds"] = 2;
  slow["seconds"] = 4;
  Json rows = task_rows({quick, slow});
  EXPECT_DOUBLE_EQ(rows[0]["seconds"], 3);
  EXPECT_DOUBLE_EQ(rows[0]["seconds_p50"], 3);
  EXPECT_DOUBLE_EQ(rows[0]["seconds_p95"], 3.9);
  EXPECT_DOUBLE_EQ(rows[0]["first_token_seconds_p50"], 1.5);
  rows = task_rows({quick, line("u", "1", "w", 1)});
  EXPECT_EQ(rows[0]["task"], "all");
  EXPECT_FALSE(rows[0].contains("seconds_p95")) << "no mean of percentiles";
  EXPECT_FALSE(rows[2].contains("first_token_seconds_p50")) << "of options that were judged";
}

TEST(TaskRows, DamagedLinesAreRefused) {
  Json without = line("t", "1", "full", 1);
  without.erase("seconds");
  EXPECT_HAS(error_text([&] { task_rows({without, without}); }), "seconds");
  Json other = line("t", "2", "full", 1);
  other["scores"] = {{"em", 1}};
  EXPECT_HAS(error_text([&] {
               task_rows({line("t", "1", "full", 1), other});
             }),
             "a sample of task t has no score \"f1\"");
  EXPECT_TRUE(task_rows(Json::array()).empty());
}

}  // namespace
}  // namespace dsrasq::eval
