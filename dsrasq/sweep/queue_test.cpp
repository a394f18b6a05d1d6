#include "dsrasq/sweep/queue.h"

#include <csignal>
#include <thread>

#include "dsrasq/core/process.h"
#include "dsrasq/sweep/point_folder.h"
#include "dsrasq/sweep/test_points.h"

namespace dsrasq::sweep {
namespace {

const std::string kOk = R"(echo '{"status": "ok"}')";
const std::string kMake = "touch made; echo first $$ >> ../../calls; " + kOk;
const std::string kUse = "test -e made && echo second $$ >> ../../calls; " + kOk;

class QueueTest : public PointTest {
 protected:
  SweepWork work(size_t n_workers = 1) {
    SweepWork work{.program = "/bin/sh",
                   .folder = folder_,
                   .workers = {},
                   .started = {},
                   .ended = [this](const Point& point) { ended_.push_back(point.name); }};
    for (size_t i = 0; i < n_workers; ++i)
      work.workers.push_back({concat('w', i), {{"WORKER", std::to_string(i)}}});
    return work;
  }
  bool is_finished(const Point& point) const { return PointFolder(folder_, point).is_finished(); }
  int64_t calls() const {
    const std::string all = has("calls") ? text("calls") : "";
    return std::count(all.begin(), all.end(), '\n');
  }

  std::vector<std::string> ended_;
};

TEST_F(QueueTest, StagesFollowEachOtherAndFinishedPointsAreNeverRunAgain) {
  const std::vector<Point> points{point("a", kMake, kUse), point("b", kMake, kUse)};
  run_points(points, work());
  EXPECT_TRUE(is_finished(points[0]) && is_finished(points[1]));
  EXPECT_EQ(ended_, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(calls(), 4);
  EXPECT_FALSE(has("points/a/made"));  // scratch
  run_points(points, work());
  EXPECT_EQ(calls(), 4);
}

TEST_F(QueueTest, AFailureIsKeptStopsNobodyAndIsTriedAgain) {
  const std::string fails =
      "test -e ../../repaired || "
      R"({ echo '{"status": "error", "message": "no luck"}'; exit 4; }; )";
  const std::vector<Point> points{point("a", kMake, fails + kUse), point("b", kMake, kUse)};
  run_points(points, work());
  EXPECT_EQ(ended_, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(PointFolder(folder_, points[0]).failure(), "second: no luck");
  EXPECT_TRUE(is_finished(points[1]));
  write("repaired", "");
  run_points(points, work());
  EXPECT_TRUE(is_finished(points[0]));
  EXPECT_EQ(calls(), 4);  // the first stage of a was done, its file is there
}

TEST_F(QueueTest, WorkersWorkAtTheSameTimeEachInItsEnvironment) {
  // Each waits for the other.
  const auto waits = [](const char* own, const char* other) {
    return concat("touch ../../", own, "; while ! test -e ../../", other,
                  "; do sleep 0.01; done; touch made; echo \"{\\\"status\\\": \\\"ok\\\", "
                  "\\\"worker\\\": $WORKER}\"");
  };
  const std::vector<Point> points{point("a", waits("x", "y"), kUse),
                                  point("b", waits("y", "x"), kUse)};
  run_points(points, work(2));
  EXPECT_EQ((*PointFolder(folder_, points[0]).result("first"))["worker"], 0);
  EXPECT_EQ((*PointFolder(folder_, points[1]).result("first"))["worker"], 1);
}

TEST_F(QueueTest, OneSweepAtATimeWorksInAFolder) {
  std::string refusal;
  SweepWork outer = work();
  outer.started = [&](const Point& point, const Worker&) {
    refusal = error_text([&] { run_points({point}, work()); }, ErrorCode::kUnavailable);
  };
  run_points({point("a", kMake, kUse)}, outer);
  EXPECT_HAS(refusal, "another sweep is at work in ");
}

TEST_F(QueueTest, AFolderThatCannotBeWrittenStopsIt) {
  write("points", "a file");
  EXPECT_HAS(error_text([&] { run_points({point("a", kMake, kUse)}, work()); }, ErrorCode::kOutput),
             "points/a: the folder cannot be made");
}

// Last, as this process has been interrupted then.
TEST_F(QueueTest, ZInterruptedItStopsAllAndLeavesThePointOpen) {
  watch_interrupts();
  const std::string slow =
      "trap 'touch ../../stopped; exit 130' INT; touch ../../ready; "
      "while :; do sleep 0.01; done";
  const std::vector<Point> points{point("a", slow, kUse), point("b", kMake, kUse)};
  std::thread user([&] {
    while (!has("ready")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::raise(SIGINT);
  });
  EXPECT_HAS(error_text([&] { run_points(points, work()); }, ErrorCode::kInterrupted),
             "the same command goes on from here");
  user.join();
  EXPECT_TRUE(has("stopped"));
  EXPECT_FALSE(PointFolder(folder_, points[0]).failure());
  EXPECT_EQ(PointFolder(folder_, points[0]).next_stage(), 0u);
  EXPECT_TRUE(ended_.empty());
}

}  // namespace
}  // namespace dsrasq::sweep
