#include "dsrasq/train/process_group.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/test_workers.h"

namespace dsrasq::train {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

TEST(ProcessGroupTest, SumsAreTheSameInAll) {
  const auto errors = run_workers(3, [](const std::shared_ptr<ProcessGroup>& group) {
    const auto rank = static_cast<double>(group->rank());
    const at::Tensor plain = at::arange(1000, at::kFloat).mul(rank);
    const at::Tensor bank = at::full({2, 5}, rank, at::kDouble);
    const ProcessGroup::Pending row = group->start_sum(bank.select(0, 1));
    group->sum(plain);
    group->wait(row);
    EXPECT_TRUE(plain.equal(at::arange(1000, at::kFloat).mul(3)));
    EXPECT_TRUE(bank[1].equal(at::full({5}, 3, at::kDouble)));
    EXPECT_TRUE(bank[0].equal(at::full({5}, rank, at::kDouble)));
    EXPECT_EQ(group->of_first(7 + group->rank()), 7);
    EXPECT_TRUE(group->any(group->rank() == 2));
    EXPECT_FALSE(group->any(false));
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

TEST(ProcessGroupTest, AloneNothingChanges) {
  ProcessGroup group;
  const at::Tensor values = at::ones({3});
  group.sum(values);
  group.take_from_first(values);
  group.check_same("a", "options");
  EXPECT_TRUE(values.equal(at::ones({3})));
  EXPECT_TRUE(group.is_first());
  EXPECT_TRUE(group.has(5));
  EXPECT_EQ(group.of_first(5), 5);
  EXPECT_HAS(error_text([&] { group.run([] { throw Error(ErrorCode::kOutput, "a", "full"); }); },
                        ErrorCode::kOutput),
             "[a] full");
}

TEST(ProcessGroupTest, TheFirstWorksWhileTheOthersWait) {
  std::atomic<int> done = 0;
  const auto errors = run_workers(3, [&](const std::shared_ptr<ProcessGroup>& group) {
    group->first_then_others([&] {
      if (group->is_first()) std::this_thread::sleep_for(100ms);
      if (!group->is_first()) {
        EXPECT_GE(done, 1);
      }
      ++done;
    });
  });
  EXPECT_EQ(done, 3);
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

TEST(ProcessGroupTest, WhatOneThrowsAllThrow) {
  const Clock::time_point start = Clock::now();
  const auto errors = run_workers(3, [](const std::shared_ptr<ProcessGroup>& group) {
    if (group->rank() == 1) throw Error(ErrorCode::kOutput, "core.file", "a.txt: disk full");
    group->sum(at::ones({4}));
  });
  EXPECT_EQ(errors[1], "output: [core.file] a.txt: disk full");
  EXPECT_EQ(errors[0], "output: [train.processes] process 1: a.txt: disk full");
  EXPECT_EQ(errors[2], errors[0]);
  EXPECT_LT(Clock::now() - start, 10s);
}

TEST(ProcessGroupTest, OneThatThrowsDoesNotWaitForItsSums) {
  const auto errors = run_workers(2, [](const std::shared_ptr<ProcessGroup>& group) {
    const at::Tensor values = at::ones({4});
    if (group->is_first()) {
      const ProcessGroup::Pending sum = group->start_sum(values);  // which the other never begins
      throw Error(ErrorCode::kBadInput, "x", "no text");
    }
    std::this_thread::sleep_for(2s);
    static_cast<void>(group->any(false));
  });
  EXPECT_EQ(errors[0], "bad_input: [x] no text");
  EXPECT_EQ(errors[1], "bad_input: [train.processes] process 0: no text");
}

TEST(ProcessGroupTest, TheFirstToldEvenWhenItServesTheOthers) {
  const auto errors = run_workers(3, [](const std::shared_ptr<ProcessGroup>& group) {
    if (group->is_first()) throw Error(ErrorCode::kBadInput, "x", "no text");
    group->sum(at::ones({4}));
  });
  EXPECT_EQ(errors[1], "bad_input: [train.processes] process 0: no text");
  EXPECT_EQ(errors[2], errors[1]);
}

TEST(ProcessGroupTest, WhatHasToBeTheSameIsCompared) {
  const auto errors = run_workers(2, [](const std::shared_ptr<ProcessGroup>& group) {
    group->check_same("a", "letters");
    group->check_same(std::to_string(group->rank()), "numbers");
    group->sum(at::ones({1}));
  });
  EXPECT_HAS(errors[0], "has other numbers than the others");
  EXPECT_HAS(errors[1], "has other numbers than the others");
}

TEST(ProcessGroupTest, ProcessesThatDoNotComeAreMissed) {
  const uint16_t port = free_port();
  EXPECT_HAS(error_text([&] { ProcessGroup(test_place(0, 2, port), at::kCPU, 500ms); },
                        ErrorCode::kUnavailable),
             "1 of 2 processes came to 127.0.0.1:");
  EXPECT_HAS(error_text([&] { ProcessGroup(test_place(1, 2, free_port()), at::kCPU, 500ms); },
                        ErrorCode::kUnavailable),
             "process 1 finds nobody at 127.0.0.1:");
}

// In a process of its own: see OneThatIsKilledIsNamed.
TEST(ProcessGroupTest, DISABLED_WorkerThatIsKilled) {
  const auto place = worker_place();
  ASSERT_TRUE(place);
  ProcessGroup group(*place, at::kCPU);
  group.sum(at::ones({4}));
  if (group.rank() == 2) std::raise(SIGKILL);
  for (;;) group.sum(at::ones({4}));
}

TEST(ProcessGroupTest, OneThatIsKilledIsNamed) {
  const uint16_t port = free_port();
  std::vector<pid_t> others;
  for (const int64_t rank : {1, 2})
    others.push_back(spawn_worker("*DISABLED_WorkerThatIsKilled", rank, 3, port));
  std::optional<Clock::time_point> start;
  const std::string error = error_text(
      [&] {
        ProcessGroup group(test_place(0, 3, port), at::kCPU, 60s);
        group.run([&] {
          group.sum(at::ones({4}));
          start = Clock::now();
          for (;;) group.sum(at::ones({4}));
        });
      },
      ErrorCode::kStopped);
  EXPECT_HAS(error, "process 2 has ended without a word");
  EXPECT_LT(Clock::now() - *start, 10s);
  EXPECT_NE(status_of(others[0]), 0);
  EXPECT_TRUE(WIFSIGNALED(status_of(others[1])));
}

// In a process of its own for each GPU: see GpusSumToo.
TEST(ProcessGroupTest, DISABLED_GpuWorker) {
  std::string device = "cuda";
  const auto group = join_processes(device);
  group->run([&] {
    EXPECT_EQ(device, concat("cuda:", group->rank()));
    const auto options = at::TensorOptions(at::Device(device));
    const at::Tensor bank = at::full({3, 1 << 20}, static_cast<double>(group->rank() + 1), options);
    std::vector<ProcessGroup::Pending> sums;
    for (int64_t row = 0; row < 3; ++row) {
      bank[row].mul_(static_cast<double>(row));  // the sum has to wait for it
      sums.push_back(group->start_sum(bank[row]));
    }
    for (const ProcessGroup::Pending& sum : sums) group->wait(sum);
    const at::Tensor wanted = at::arange(3, at::kFloat).mul(3).unsqueeze(1).expand({3, 1 << 20});
    EXPECT_TRUE(bank.to(at::kCPU).equal(wanted));
    EXPECT_EQ(group->of_first(7 + group->rank()), 7);
  });
  std::_Exit(HasFailure() ? 1 : 0);  // globals of some CUDA builds abort when they are destroyed
}

TEST(ProcessGroupTest, GpusSumToo) {
  if (!at::hasCUDA() || at::getNumGPUs() < 2) GTEST_SKIP() << "wants two GPUs";
  const uint16_t port = free_port();
  std::vector<pid_t> workers;
  for (const int64_t rank : {0, 1})
    workers.push_back(spawn_worker("*DISABLED_GpuWorker", rank, 2, port));
  for (const pid_t worker : workers) EXPECT_EQ(status_of(worker), 0);
}

}  // namespace
}  // namespace dsrasq::train
