#include "dsrasq/train/policy_gradient_run.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/joint_test_bench.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

class PolicyGradientRunTest : public FolderTest {};

TEST_F(PolicyGradientRunTest, TheCostOfTokensShrinksTheBudget) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.gradient_options("a");
  options.lambda_ret = 1;  // far more than any token is worth
  options.rl.lr_budget = 0.05;
  options.rl.steps = 40;
  const JointResult result = train_joint(bench.joint_input(), options);
  EXPECT_EQ(result.steps, 40);
  EXPECT_GT(result.before.picked, 10);
  EXPECT_LT(result.after.picked, 0.2 * result.before.picked);
  const retriever::Adapter adapter = retriever::Adapter::load(result.adapter);
  ASSERT_EQ(adapter.budgets.size(), 2u);
  EXPECT_GT(adapter.budgets.at(1).weight.abs().max().item<float>(), 0);
  EXPECT_TRUE(adapter.thresholds.empty());
  EXPECT_NE(adapter.record.find("\"rules\":[{"), std::string::npos);
}

TEST_F(PolicyGradientRunTest, ResultsComeWithSimplerRulesOfTheSameSize) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.gradient_options("a");
  options.rl.steps = 2;
  const JointResult result = train_joint(bench.joint_input(), options);
  ASSERT_EQ(result.rules.size(), 3u);
  EXPECT_EQ(result.rules[0].rule, "budget");
  EXPECT_EQ(result.rules[0].score.kl, result.after.kl);
  EXPECT_EQ(result.rules[1].rule.rfind("best ", 0), 0u);
  EXPECT_EQ(result.rules[2].rule.rfind("p > ", 0), 0u);
  for (const RuleScore& rule : result.rules)
    EXPECT_NEAR(rule.score.picked, result.after.picked, 0.15 * result.after.picked) << rule.rule;
}

// A head that sees nothing but its bias learns that tokens help: the mean KL falls.
TEST_F(PolicyGradientRunTest, RewardsAloneGrowTheBudgetWhereTokensHelp) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.gradient_options("a");
  options.rl.steps = 120;
  options.rl.samples = 4;
  options.rl.lr_budget = 0.05;
  options.rl.entropy = 0;
  retriever::Adapter start = *bench.joint_input().adapter;
  for (const int64_t layer : {0, 1}) {
    start.budgets[layer] = retriever::BudgetParameters::fresh(32);
    start.budgets[layer].bias =
        at::tensor({0.5f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, -3.0f, -3.0f});
  }
  JointInput input = bench.joint_input();
  input.adapter = &start;
  const JointResult result = train_joint(input, options);
  EXPECT_EQ(result.before.picked, 0);
  EXPECT_GT(result.after.picked, 5);
  EXPECT_LT(result.after.kl, 0.9 * result.before.kl);
}

TEST_F(PolicyGradientRunTest, EveryVariantRunsAndMovesWhatItTrains) {
  const JointBench bench(folder_);
  const JointInput input = bench.joint_input();
  int number = 0;
  for (const char* policy : {"race", "bernoulli", "budget"})
    for (const bool by_query : {true, false}) {
      JointTrainOptions options = bench.gradient_options(concat("v", number++), policy);
      options.rl.steps = 4;
      options.rl.explore = 0.5;
      options.rl.explore_by_query = by_query;
      options.rl.horizon = by_query ? 3 : 0;
      options.rl.baseline = by_query ? "leave-one-out" : "moving-average";
      options.rl.reward = by_query ? "kl" : "log-prob";
      options.lambda_ret = 1e-3;
      options.threshold = 0.01;
      double loss = 0;
      const JointResult result =
          train_joint(input, options, [&](const JointProgress& progress) { loss = progress.loss; });
      EXPECT_TRUE(std::isfinite(result.loss) && loss != 0) << policy;
      const retriever::Adapter adapter = retriever::Adapter::load(result.adapter);
      const bool is_budget = std::string(policy) == "budget";
      EXPECT_EQ(adapter.budgets.size(), is_budget ? 2u : 0u);
      EXPECT_EQ(adapter.thresholds.size(), is_budget ? 0u : 2u);
      EXPECT_TRUE(is_budget || adapter.thresholds.at(0) != std::log(0.01f)) << policy;
      const at::Tensor key = input.adapter->indexers.at(0).key.to(at::kHalf).to(at::kFloat);
      EXPECT_EQ(adapter.indexers.at(0).key.equal(key), is_budget) << policy;
    }
}

TEST_F(PolicyGradientRunTest, FollowsTheOtherStepsInOneRun) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.options("a");
  options.steps = 6;
  options.rl.steps = 5;
  options.rl.samples = 2;
  std::vector<int64_t> reports, scores;
  const JointResult result =
      train_joint(bench.joint_input(), options, [&](const JointProgress& progress) {
        (progress.score ? scores : reports).push_back(progress.step);
        EXPECT_EQ(progress.steps, 11);
      });
  EXPECT_EQ(reports, (std::vector<int64_t>{6, 10, 11}));
  EXPECT_EQ(scores, (std::vector<int64_t>{0, 6, 11}));
  const retriever::Adapter adapter = retriever::Adapter::load(result.adapter);
  EXPECT_EQ(adapter.lora.size(), 2u);
  EXPECT_EQ(adapter.budgets.size(), 2u);
  // Another run takes the heads along, trained or not.
  const JointInput again{.train = bench.input(), .adapter = &adapter};
  options = bench.options("b");
  options.steps = 1;
  train_joint(again, options);
  const retriever::Adapter later = retriever::Adapter::load(options.output);
  EXPECT_TRUE(later.budgets.at(1).weight.equal(adapter.budgets.at(1).weight));
}

TEST_F(PolicyGradientRunTest, WrongOptionsAreNamed) {
  const JointBench bench(folder_);
  const JointInput input = bench.joint_input();
  const auto refusal = [&](const std::function<void(JointTrainOptions&)>& spoil) {
    JointTrainOptions options = bench.gradient_options("a");
    spoil(options);
    return error_text([&] { train_joint(input, options); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_HAS(refusal([](auto& o) { o.rl.policy = "greedy"; }), "--rl-policy has to be budget");
  EXPECT_HAS(refusal([](auto& o) { o.rl.samples = 1; }), "with leave-one-out at least 2");
  EXPECT_HAS(refusal([](auto& o) { o.rl.baseline = "critic"; }), "--rl-baseline has to be");
  EXPECT_HAS(refusal([](auto& o) { o.rl.reward = "f1"; }), "--rl-reward has to be kl");
  EXPECT_HAS(refusal([](auto& o) { o.rl.explore = 0; }), "--rl-explore has to be above 0");
  EXPECT_HAS(refusal([](auto& o) { o.rl.entropy = NAN; }), "--rl-entropy");
  EXPECT_HAS(refusal([](auto& o) { o.rl.steps = 0; }), "--steps or --rl-steps");
  EXPECT_HAS(refusal([](auto& o) { o.time_budget = 5; }), "--time-budget is for --steps");
}

TEST_F(PolicyGradientRunTest, ALossThatIsNoNumberStopsWithItsStep) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.gradient_options("a", "race");
  options.lr_retriever = 1e30;
  options.warmup = 1;
  EXPECT_HAS(error_text([&] { train_joint(bench.joint_input(), options); }, ErrorCode::kStopped),
             "the loss is");
  EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(PolicyGradientRunTest, PlansWithoutTraining) {
  const JointBench bench(folder_);
  const JointTrainOptions options = bench.gradient_options("a");
  const JointPlan plan = plan_joint_training(bench.joint_input(), options);
  EXPECT_GT(plan.rl_step_seconds, 0);
  EXPECT_NEAR(plan.total_seconds, 20 * plan.rl_step_seconds, 1e-9);
  EXPECT_FALSE(fs::exists(options.run_dir));
}

class StoppedPolicyGradientTest : public StoppedJointTraining {
 protected:
  JointTrainOptions options(const JointBench& bench, const std::string& name) const override {
    JointTrainOptions options = bench.gradient_options(name);
    options.steps = 4;
    options.rl.steps = 18;
    options.rl.baseline = "moving-average";
    options.checkpoint_every = 9;
    return options;
  }
};

TEST_F(StoppedPolicyGradientTest, GoesOnExactlyAfterBeingKilled) {
  EXPECT_EXIT(train_until(SIGKILL), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EQ(expect_goes_on_from(9).steps, 22);
}

}  // namespace
}  // namespace dsrasq::train
