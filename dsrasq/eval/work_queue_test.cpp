#include "dsrasq/eval/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

#include "dsrasq/core/error.h"

namespace dsrasq::eval {
namespace {

TEST(WorkQueueTest, OneThreadIsTheCallersAndTasksRunAtOnce) {
  WorkQueue queue(1, c10::kCPU);
  const std::thread::id here = std::this_thread::get_id();
  int done = 0;
  queue.add([&] { done += std::this_thread::get_id() == here; });
  EXPECT_EQ(done, 1);
  queue.finish();
  EXPECT_THROW(queue.add([] { throw Error(ErrorCode::kBadInput, "test", "no"); }), Error);
}

TEST(WorkQueueTest, TasksRunAtTheSameTimeAndAllOfThem) {
  WorkQueue queue(3, c10::kCPU);
  std::latch together(3);  // never passed by fewer threads
  std::atomic<int> done = 0;
  for (int i = 0; i < 3; ++i) queue.add([&] { together.arrive_and_wait(), ++done; });
  for (int i = 0; i < 100; ++i) queue.add([&] { ++done; });
  queue.finish();
  EXPECT_EQ(done, 103);
  queue.add([&] { ++done; });
  queue.finish();
  EXPECT_EQ(done, 104);
}

TEST(WorkQueueTest, WhatATaskThrowsIsThrownAndEndsTheRest) {
  WorkQueue queue(2, c10::kCPU);
  std::atomic<int> done = 0;
  const auto add_and_finish = [&] {
    for (int i = 0; i < 1000; ++i)
      queue.add([&, i] {
        if (i == 5) throw Error(ErrorCode::kInterrupted, "test", "stopped by the user");
        ++done;
      });
    queue.finish();
  };
  EXPECT_THROW(add_and_finish(), Error);
  EXPECT_LT(done, 20);
  EXPECT_THROW(queue.finish(), Error);
}

TEST(WorkQueueTest, WrongNumbersOfThreadsAreRefused) {
  for (const int64_t wrong : {0, -1, 257})
    EXPECT_THROW(WorkQueue(wrong, c10::kCPU), Error) << wrong;
}

}  // namespace
}  // namespace dsrasq::eval
