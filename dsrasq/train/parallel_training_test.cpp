// Trainings by several processes against the same by one.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/core/process.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/joint_test_bench.h"
#include "dsrasq/train/test_workers.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class ParallelTrainingTest : public FolderTest {};

// The first process's result of `train` by `size` threads.
template <class Train>
auto by_workers(int64_t size, const Train& train) {
  std::optional<decltype(train(std::shared_ptr<ProcessGroup>()))> first;
  const auto errors = run_workers(size, [&](const std::shared_ptr<ProcessGroup>& group) {
    auto result = train(group);
    if (group->is_first()) first = result;
  });
  EXPECT_EQ(errors, std::vector<std::string>(static_cast<size_t>(size)));
  return *first;
}

void expect_same_parameters(const RunOptions& a, const RunOptions& b, double most) {
  const auto one = CheckpointFolder(a.run_dir).load(), two = CheckpointFolder(b.run_dir).load();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->step, two->step);
  EXPECT_LE((one->parameters - two->parameters).abs().max().item<double>(), most);
  EXPECT_GT(one->first.abs().max().item<double>(), 0);
}

template <class Options>
Options with_batch(Options options, int64_t batch) {
  options.batch = batch;
  return options;
}

// Sums of another order are rounded otherwise, which Adam makes more of with every step: few steps.
TEST_F(ParallelTrainingTest, TwoProcessesTrainTheRetrieverThatOneTrains) {
  const TestBench bench(folder_);
  auto options = [&](const std::string& name) {
    auto run = with_batch(bench.short_run<RetrieverTrainOptions>(name), 2);
    run.n_heads = 2;
    run.head_dim = 16;
    run.steps = 6;
    run.eval_stretches = 3;
    run.eval_every = 3;
    return run;
  };
  const TrainResult one = train_retriever(bench.input(), options("one"));
  const TrainResult two = by_workers(2, [&](const std::shared_ptr<ProcessGroup>& group) {
    TrainInput input = bench.input();
    input.processes = group;
    return train_retriever(input, options("two"));
  });
  EXPECT_EQ(one.steps, two.steps);
  EXPECT_NEAR(one.loss, two.loss, 1e-6);
  EXPECT_NEAR(one.score.captured64, two.score.captured64, 1e-6);
  EXPECT_NEAR(one.score.kl, two.score.kl, 1e-5);
  expect_same_parameters(options("one"), options("two"), 1e-6);
}

// Trains both ways, with the same results, what `change` makes of the bench's options.
void expect_same_joint_training(const JointBench& bench, const std::string& name,
                                const std::function<void(JointTrainOptions&)>& change,
                                double most = 1e-6) {
  JointTrainOptions alone = with_batch(bench.options(name + "_one"), 2),
                    shared = with_batch(bench.options(name + "_two"), 2);
  change(alone);
  change(shared);
  const JointResult one = train_joint(bench.joint_input(), alone);
  const JointResult two = by_workers(2, [&](const std::shared_ptr<ProcessGroup>& group) {
    JointInput input = bench.joint_input();
    input.train.processes = group;
    return train_joint(input, shared);
  });
  EXPECT_EQ(one.steps, two.steps);
  EXPECT_NEAR(one.loss, two.loss, 1e-6);
  EXPECT_NEAR(one.kl, two.kl, 1e-6);
  EXPECT_NEAR(one.before.kl, two.before.kl, 1e-6);
  EXPECT_NEAR(one.after.perplexity / two.after.perplexity, 1, 1e-6);
  EXPECT_NEAR(one.after.picked, two.after.picked, 1e-6);
  expect_same_parameters(alone, shared, most);
}

// Sums of another order are rounded otherwise, which makes other tokens be picked some day: so few
// steps, or no second loss, whose gradients one process adds up in that other order. Slots are
// faint at first, and of gradients that are mostly rounding Adam makes steps of full size: without
// them everything is held to more.
TEST_F(ParallelTrainingTest, TwoProcessesTrainTogetherWhatOneTrains) {
  const JointBench bench(folder_);
  constexpr double kOfSlots = 2e-5;  // a thousandth of a step of their decay
  expect_same_joint_training(
      bench, "slots", [](JointTrainOptions& o) { o.steps = 4; }, kOfSlots);
  expect_same_joint_training(bench, "short", [](JointTrainOptions& o) {
    o.steps = 4;
    o.slots = 0;
  });
  expect_same_joint_training(bench, "long", [](JointTrainOptions& o) {
    o.retriever_weight = 0;
    o.slots = 0;
  });
}

TEST_F(ParallelTrainingTest, APolicyGradientIsSharedToo) {
  const JointBench bench(folder_);
  const auto options = [&](const std::string& name, const std::string& credit) {
    JointTrainOptions run = with_batch(bench.gradient_options(name), 2);
    run.rl.steps = 4;
    run.rl.credit = credit;
    return run;
  };
  for (const char* credit : {"sampled", "expected"}) {
    const auto alone = options(concat("one_", credit), credit);
    const auto shared = options(concat("two_", credit), credit);
    const JointResult one = train_joint(bench.joint_input(), alone);
    const JointResult two = by_workers(2, [&](const std::shared_ptr<ProcessGroup>& group) {
      JointInput input = bench.joint_input();
      input.train.processes = group;
      return train_joint(input, shared);
    });
    EXPECT_NEAR(one.loss, two.loss, 1e-6);
    EXPECT_NEAR(one.after.picked, two.after.picked, 1e-6);
    ASSERT_EQ(one.rules.size(), two.rules.size());
    EXPECT_EQ(one.rules[1].rule, two.rules[1].rule);
    expect_same_parameters(alone, shared, 1e-6);
  }
}

TEST_F(ParallelTrainingTest, WhatCannotBeSharedIsRefused) {
  const JointBench bench(folder_);
  const auto errors = [&](const JointTrainOptions& options) {
    return run_workers(2, [&](const std::shared_ptr<ProcessGroup>& group) {
      JointInput input = bench.joint_input();
      input.train.processes = group;
      train_joint(input, options);
    });
  };
  EXPECT_HAS(errors(with_batch(bench.options("a"), 3))[0],
             "invalid_argument: [train.input] --batch is 3 stretches, which 2 processes cannot");
  JointTrainOptions options = with_batch(bench.gradient_options("b"), 2);
  options.rl.baseline = "moving-average";
  EXPECT_HAS(errors(options)[1], "--rl-baseline moving-average follows one stretch after");
}

TEST_F(ParallelTrainingTest, OtherOptionsInOneProcessStopAll) {
  const TestBench bench(folder_);
  const auto errors = run_workers(2, [&](const std::shared_ptr<ProcessGroup>& group) {
    TrainInput input = bench.input();
    input.processes = group;
    auto options = with_batch(bench.short_run<RetrieverTrainOptions>("a"), 2);
    options.eval_every = 4 + group->rank();
    train_retriever(input, options);
  });
  EXPECT_HAS(errors[0], "has other options, model or data than the others");
  EXPECT_HAS(errors[1], "has other options, model or data than the others");
}

constexpr const char* kFolder = "DSRASQ_TEST_FOLDER";

// Processes of their own: see the tests below.
class ParallelStopTest : public StoppedTrainingTest {
 protected:
  RetrieverTrainOptions options(const TestBench& bench) const {
    auto options = with_batch(bench.short_run<RetrieverTrainOptions>("a"), 2);
    options.steps = 100000;
    options.checkpoint_every = 100000;
    return options;
  }
  pid_t spawn_other(uint16_t port) const {
    ::setenv(kFolder, folder_.c_str(), 1);
    return spawn_worker("ParallelStopTest.DISABLED_Other", 1, 2, port);
  }
  // Trains in this process with the other one; what that throws. `step` sees every report.
  std::string train(const WorkerPlace& place, const fs::path& folder,
                    const std::function<void(int64_t)>& step) {
    const TestBench bench(folder / std::to_string(place.rank));
    auto options = this->options(bench);
    options.run_dir = (folder / "run").string();
    watch_interrupts();
    try {
      TrainInput input = bench.input();
      input.processes = std::make_shared<ProcessGroup>(place, at::kCPU);
      input.processes->run([&] {
        train_retriever(input, options,
                        [&](const TrainProgress& progress) { step(progress.step); });
      });
    } catch (const Error& error) {
      return concat(error_info(error.code()).name, ": ", error.what());
    }
    return "no error";
  }
};

TEST_F(ParallelStopTest, DISABLED_Other) {
  const auto place = worker_place();
  ASSERT_TRUE(place);
  const std::string error = train(*place, std::getenv(kFolder), [](int64_t) {});
  std::_Exit(error.starts_with("interrupted: ") ? 130 : 1);  // the folder is not this process's
}

TEST_F(ParallelStopTest, AKilledProcessStopsTheTraining) {
  const uint16_t port = free_port();
  const pid_t other = spawn_other(port);
  Clock::time_point start;
  const std::string error = train(test_place(0, 2, port), folder_, [&](int64_t step) {
    if (step != 10) return;
    ::kill(other, SIGKILL);
    start = Clock::now();
  });
  EXPECT_HAS(error, "stopped: [train.processes] process 1 has ended without a word");
  EXPECT_LT(Clock::now() - start, 10s);
  EXPECT_TRUE(WIFSIGNALED(status_of(other)));
}

TEST_F(ParallelStopTest, AnInterruptOfOneStopsAllWithACheckpoint) {
  const uint16_t port = free_port();
  const pid_t other = spawn_other(port);
  const std::string error = train(test_place(0, 2, port), folder_, [&](int64_t step) {
    if (step == 10) ::kill(other, SIGINT);
  });
  EXPECT_HAS(error, "interrupted: ");
  EXPECT_EQ(WEXITSTATUS(status_of(other)), 130);
  const auto stored = CheckpointFolder(folder_ / "run").load();
  ASSERT_TRUE(stored);
  EXPECT_GE(stored->step, 10);
}

}  // namespace
}  // namespace dsrasq::train
