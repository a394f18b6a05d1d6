#include "dsrasq/train/training_stages.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "dsrasq/core/file.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/joint_test_bench.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

// Twelve steps of warm-up, 24 of joint training and 10 of policy gradient, a quarter on a task.
StagedTrainOptions staged_options(const JointBench& bench, const std::string& name) {
  StagedTrainOptions options;
  static_cast<JointTrainOptions&>(options) = bench.options(name);
  options.stages = "warmup,joint,rl";
  options.warmup_stage_steps = 12;
  options.long_share = 0;
  options.slots = 0;
  options.rl.steps = 10;
  options.rl.samples = 2;
  write_file(bench.path("tasks.jsonl"), R"({"inputs": "say ab", "targets": "yes"})");
  options.tasks = {bench.path("tasks.jsonl")};
  return options;
}

StagedInput from_scratch(const JointBench& bench) { return {{.train = bench.input()}, ""}; }

class TrainingStagesTest : public FolderTest {};

TEST_F(TrainingStagesTest, TheListSaysWhatRuns) {
  StagedTrainOptions options;
  const auto refusal = [&] {
    return error_text([&] { stages_of(options); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_TRUE(stages_of(options).joint);
  EXPECT_FALSE(stages_of(options).rl);
  options.rl.steps = 5;
  EXPECT_TRUE(stages_of(options).rl);
  options.stages = "warmup,joint";
  EXPECT_HAS(refusal(), "--rl-steps is 5, but --stages leaves out rl");
  options.rl.steps = 0;
  EXPECT_TRUE(stages_of(options).warmup);
  for (const char* wrong : {"joint,warmup", "warmup,warmup", "all", "warmup,,joint"}) {
    options.stages = wrong;
    EXPECT_HAS(refusal(), "want a list of warmup, joint and rl in this order");
  }
  options.stages = "joint";
  options.steps = 0;
  EXPECT_HAS(refusal(), "--stages names joint, but --steps is 0");
  options.stages = "warmup";
  EXPECT_FALSE(stages_of(options).joint);
  options.warmup_stage_share = 1;
  EXPECT_HAS(refusal(), "--warmup-stage-share has to be between 0 and 1");
}

TEST_F(TrainingStagesTest, OneRunTrainsAllAndTheRecordHoldsAll) {
  const JointBench bench(folder_);
  const StagedTrainOptions options = staged_options(bench, "a");
  std::string stages;
  const StagedResult result =
      train_staged(from_scratch(bench), options, [&](const StagedProgress& progress) {
        const char stage = progress.warmup != nullptr           ? 'w'
                           : progress.joint->is_policy_gradient ? 'r'
                                                                : 'j';
        if (stages.empty() || stages.back() != stage) stages += stage;
      });
  EXPECT_EQ(stages, "wjr");
  ASSERT_TRUE(result.warmup && result.joint);
  EXPECT_EQ(result.warmup->steps, 12);
  EXPECT_EQ(result.joint->steps, 34);
  const retriever::Adapter adapter = retriever::Adapter::load(options.output);
  EXPECT_EQ(adapter.lora.size(), 2u);
  EXPECT_EQ(adapter.budgets.size(), 2u);
  const nlohmann::json record = nlohmann::json::parse(adapter.record);
  EXPECT_EQ(record.at("method"), "joint");
  EXPECT_EQ(record.at("steps"), 34);
  EXPECT_EQ(record.at("options").at("rl-steps"), "10");
  EXPECT_EQ(record.at("started_from").at("method"), "kl-warm-up");
  EXPECT_EQ(record.at("started_from").at("steps"), 12);
}

TEST_F(TrainingStagesTest, AFinishedWarmUpIsNotRunAgain) {
  const JointBench bench(folder_);
  StagedTrainOptions options = staged_options(bench, "a");
  const StagedResult first = train_staged(from_scratch(bench), options);
  const auto written = fs::last_write_time(first.adapter);
  const StagedResult again = train_staged(from_scratch(bench), options);
  EXPECT_FALSE(again.warmup.has_value());
  EXPECT_EQ(again.joint->after.kl, first.joint->after.kl);
  EXPECT_NE(fs::last_write_time(again.adapter), written);
  options.warmup_stage_steps = 13;
  EXPECT_HAS(
      error_text([&] { train_staged(from_scratch(bench), options); }, ErrorCode::kInvalidArgument),
      "was started with --steps 12, not 13");
  options.warmup_stage_steps = 12;
  write_file(options.tasks[0], R"({"inputs": "say ab", "targets": "no"})");
  EXPECT_HAS(
      error_text([&] { train_staged(from_scratch(bench), options); }, ErrorCode::kInvalidArgument),
      "warmup holds a training of another model or of other data");
  options.warmup_stage_steps = 13;
  options.resume = false;
  EXPECT_EQ(train_staged(from_scratch(bench), options).warmup->steps, 13);
}

TEST_F(TrainingStagesTest, EachStageAlone) {
  const JointBench bench(folder_);
  StagedTrainOptions options = staged_options(bench, "warm");
  options.rl.steps = 0;
  options.stages = "warmup";
  const StagedResult warm = train_staged(from_scratch(bench), options);
  EXPECT_FALSE(warm.joint.has_value());
  const retriever::Adapter adapter = retriever::Adapter::load(options.output);
  EXPECT_TRUE(adapter.lora.empty());
  EXPECT_EQ(adapter.n_heads, 4);

  const StagedInput further{{.train = bench.input(), .adapter = &adapter}, options.output};
  options = staged_options(bench, "rl");
  options.stages = "rl";
  EXPECT_EQ(train_staged(further, options).joint->steps, 10);
  // Changes to the weights that a policy gradient would leave at zero are not made.
  EXPECT_TRUE(retriever::Adapter::load(options.output).lora.empty());

  options = staged_options(bench, "more");
  options.stages = "warmup,joint";
  options.rl.steps = 0;
  train_staged(further, options);
  const auto more = nlohmann::json::parse(retriever::Adapter::load(options.output).record);
  EXPECT_EQ(more.at("started_from").at("init").at("steps"), 12);
}

TEST_F(TrainingStagesTest, LaterStagesAreCheckedBeforeTheFirst) {
  const JointBench bench(folder_);
  StagedTrainOptions options = staged_options(bench, "a");
  const auto refusal = [&] {
    return error_text([&] { train_staged(from_scratch(bench), options); },
                      ErrorCode::kInvalidArgument);
  };
  options.lora_targets = "q,up";
  EXPECT_HAS(refusal(), "--lora-targets holds 'up'");
  options = staged_options(bench, "a");
  options.rl.policy = "dice";
  EXPECT_HAS(refusal(), "--rl-policy");
  EXPECT_FALSE(fs::exists(options.run_dir));
}

TEST_F(TrainingStagesTest, ATimeBudgetIsSharedByAllStages) {
  const JointBench bench(folder_);
  StagedTrainOptions options = staged_options(bench, "a");
  const StagedPlan counted = plan_staged_training(from_scratch(bench), options);
  EXPECT_GT(counted.total_seconds, counted.warmup->total_seconds);
  EXPECT_NEAR(counted.joint->total_seconds,
              24 * counted.joint->step_seconds + 10 * counted.joint->rl_step_seconds, 1e-9);
  options.time_budget = 4;
  options.warmup_stage_share = 0.25;
  const StagedPlan plan = plan_staged_training(from_scratch(bench), options);
  EXPECT_DOUBLE_EQ(plan.warmup->total_seconds, 1);
  EXPECT_DOUBLE_EQ(plan.joint->total_seconds, 3);
  const StagedResult result = train_staged(from_scratch(bench), options);
  EXPECT_GT(result.joint->seconds, 1);
  EXPECT_LT(result.joint->seconds, 9);
}

// Ends this process at a step of a stage; the run then goes on as if nothing had been.
class StoppedStagesTest : public StoppedTrainingTest {
 protected:
  void train_until(bool in_warmup, int64_t step) {
    fs::remove_all(folder_);
    const JointBench bench(folder_);
    train_staged(from_scratch(bench), staged_options(bench, "stopped"),
                 [&](const StagedProgress& progress) {
                   const bool is_warmup = progress.warmup != nullptr;
                   const int64_t at = is_warmup ? progress.warmup->step : progress.joint->step;
                   if (is_warmup == in_warmup && at == step) std::raise(SIGKILL);
                 });
  }
  void expect_goes_on() {
    const JointBench bench(folder_);
    const StagedTrainOptions stopped = staged_options(bench, "stopped");
    const StagedTrainOptions whole = staged_options(bench, "whole");
    const StagedResult resumed = train_staged(from_scratch(bench), stopped);
    const StagedResult unbroken = train_staged(from_scratch(bench), whole);
    EXPECT_EQ(resumed.joint->steps, unbroken.joint->steps);
    EXPECT_EQ(resumed.joint->loss, unbroken.joint->loss);
    const auto a = CheckpointFolder(stopped.run_dir).load();
    const auto b = CheckpointFolder(whole.run_dir).load();
    EXPECT_TRUE(a->parameters.equal(b->parameters));
    EXPECT_TRUE(a->second.equal(b->second));
  }
};

TEST_F(StoppedStagesTest, GoesOnFromTheMiddleOfTheWarmUp) {
  EXPECT_EXIT(train_until(true, 10), testing::KilledBySignal(SIGKILL), "");
  expect_goes_on();
}

TEST_F(StoppedStagesTest, GoesOnFromTheBorder) {
  EXPECT_EXIT(train_until(true, 12), testing::KilledBySignal(SIGKILL), "");
  expect_goes_on();
}

TEST_F(StoppedStagesTest, GoesOnBeforeTheFirstJointStep) {
  EXPECT_EXIT(train_until(false, 0), testing::KilledBySignal(SIGKILL), "");
  expect_goes_on();
}

TEST_F(StoppedStagesTest, GoesOnFromTheMiddleOfThePolicyGradient) {
  EXPECT_EXIT(train_until(false, 30), testing::KilledBySignal(SIGKILL), "");
  expect_goes_on();
}

}  // namespace
}  // namespace dsrasq::train
