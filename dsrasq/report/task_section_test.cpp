#include "dsrasq/report/sections.h"
#include "dsrasq/report/svg.h"
#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

class TaskSectionTest : public ResultTest {
 protected:
  // f1 of n policies on each of m tasks; the last policy is not measured on the last task.
  ResultFile tasks(int n_policies, int n_tasks) const {
    std::string rows;
    for (int task = 0; task < n_tasks; ++task)
      for (int policy = 0; policy < n_policies; ++policy) {
        if (task + 1 == n_tasks && policy + 1 == n_policies) continue;
        rows += concat(rows.empty() ? "" : ",", R"({"task": "task number )", task,
                       R"(", "policy": "policy number )", policy, R"(", "samples": 9, "f1": )",
                       0.25 + 0.05 * policy, R"(, "f1_interval": [0.1, 0.9],)",
                       R"( "mean_retrieved": 3, "cache_bytes": 9})");
      }
    return result("t.json", concat(R"({"rows": [)", rows, "]}"));
  }
};

TEST_F(TaskSectionTest, AFewAreBars) {
  const std::vector<ResultFile> files{tasks(4, 5)};
  const Section section = task_section(files);
  ASSERT_EQ(section.figures.size(), 1u);
  EXPECT_EQ(std::get<RowPlot>(section.figures[0].plot).rows.size(), 19u);
}

TEST_F(TaskSectionTest, ManyAreMapsOfSixTasks) {
  const std::vector<ResultFile> files{tasks(15, 16)};
  const Section section = task_section(files);
  ASSERT_EQ(section.figures.size(), 3u);
  EXPECT_EQ(section.figures[0].id, "task-f1-map");
  EXPECT_EQ(section.figures[2].id, "task-f1-map-3");
  EXPECT_EQ(section.figures[2].title, "Task scores: f1, 3 of 3");
  const auto& first = std::get<HeatMap>(section.figures[0].plot);
  EXPECT_EQ(first.columns.size(), 6u);
  EXPECT_EQ(first.rows.size(), 15u);
  EXPECT_EQ(first.columns[0].cells[2]->text, "0.35");
  EXPECT_EQ(first.columns[0].cells[0]->share, 0);
  EXPECT_EQ(first.columns[0].cells[14]->share, 1);
  const auto& last = std::get<HeatMap>(section.figures[2].plot);
  EXPECT_EQ(last.columns.size(), 4u);
  EXPECT_FALSE(last.columns[3].cells[14]) << "not measured";
  EXPECT_EQ(section.figures[2].table.rows.size(), 59u);
  EXPECT_HAS(draw_svg(section.figures[0], Layout::kNarrow), "task number 5");
}

}  // namespace
}  // namespace dsrasq::report
