#include "dsrasq/train/size_credit.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/joint_test_bench.h"
#include "dsrasq/train/threshold_fit.h"

namespace dsrasq::train {
namespace {

// One layer whose rows cost 1 / (n + 1), and whose best candidates have shares 1/2, 1/4, ...
LayerCosts falling_costs(double scale) {
  const at::Tensor n = at::arange(9, at::kFloat);
  return {.log_share = (-(n.narrow(0, 0, 8) + 1) * std::log(2.0)).expand({3, 8}),
          .costs = (scale / (n + 1)).expand({2, 3, 9})};
}

TEST(ThresholdFit, EveryLayerStopsWhereAnotherTokenIsNotWorthItsPrice) {
  ThresholdFit fit;
  fit.add(0, falling_costs(1));
  fit.add(4, falling_costs(100));
  // From n to n + 1 tokens the cost falls by scale / ((n + 1) (n + 2)).
  const ThresholdFit::Fitted fitted = fit.fitted(0.06);
  EXPECT_NEAR(fitted.size, (3 + 8) / 2.0, 1e-9);
  EXPECT_NEAR(fitted.cost, 1 / 4.0 + 100 / 9.0, 1e-5);
  EXPECT_LT(fitted.thresholds.at(0), std::log(1 / 8.0));
  EXPECT_GE(fitted.thresholds.at(0), std::log(1 / 16.0));
  EXPECT_LT(fitted.thresholds.at(4), std::log(1 / 256.0));
}

TEST(ThresholdFit, CanBeToldHowManyTokensAllLayersReadOnAverage) {
  ThresholdFit fit;
  fit.add(0, falling_costs(1));
  fit.add(4, falling_costs(4));
  const auto fitted = fit.fitted_to(4);
  EXPECT_NEAR(fitted.size, 4, 0.5);
  EXPECT_LE(fitted.cost, 1 / 5.0 + 4 / 5.0) << "4 tokens for each would cost this";
}

class ExpectedCredit : public FolderTest {
 protected:
  static JointTrainOptions options(const JointBench& bench, const std::string& name) {
    JointTrainOptions options = bench.gradient_options(name);
    options.rl.steps = 60;
    options.rl.credit = "expected";
    options.rl.labels = 2;
    options.rl.lr_budget = 0.05;
    options.rl.entropy = 0;
    options.rl.threshold_stretches = 4;
    return options;
  }
};

TEST_F(ExpectedCredit, GrowsTheBudgetWhereTokensHelp) {
  const JointBench bench(folder_);
  retriever::Adapter start = *bench.joint_input().adapter;
  for (const int64_t layer : {0, 1}) {
    start.budgets[layer] = retriever::BudgetParameters::fresh(32);
    start.budgets[layer].bias[0] = 2;
  }
  JointInput input = bench.joint_input();
  input.adapter = &start;
  const JointResult result = train_joint(input, options(bench, "a"));
  EXPECT_EQ(result.before.picked, 0);
  EXPECT_GT(result.after.picked, 10);
  EXPECT_LT(result.after.kl, 0.9 * result.before.kl);
}

TEST_F(ExpectedCredit, ShrinksTheBudgetWhereTokensCostMoreThanTheyHelp) {
  const JointBench bench(folder_);
  JointTrainOptions dear = options(bench, "a");
  dear.lambda_ret = 10;
  const JointResult result = train_joint(bench.joint_input(), dear);
  EXPECT_GT(result.before.picked, 10);
  EXPECT_LT(result.after.picked, 1);
}

TEST_F(ExpectedCredit, LeavesAThresholdForEveryLayerWithAsManyTokens) {
  const JointBench bench(folder_);
  const JointResult result = train_joint(bench.joint_input(), options(bench, "a"));
  ASSERT_EQ(result.rules.size(), 4u);
  EXPECT_EQ(result.rules[3].rule, "p > one share a layer");
  // Two layers alone, whose thresholds jump from one number of tokens to another.
  EXPECT_NEAR(result.rules[3].score.picked, result.after.picked, 0.4 * result.after.picked);
  EXPECT_EQ(retriever::Adapter::load(result.adapter).thresholds.size(), 2u);
}

}  // namespace
}  // namespace dsrasq::train
