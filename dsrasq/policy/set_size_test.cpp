#include "dsrasq/policy/set_size.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kEmbd = 4;

retriever::Adapter adapter_with(bool thresholds, bool budgets) {
  retriever::Adapter adapter;
  adapter.indexers[2] = retriever::Adapter::random(kEmbd, 2, 16, 1);
  if (thresholds) adapter.thresholds[2] = std::log(0.15f);
  if (budgets) adapter.budgets[2] = retriever::BudgetParameters::fresh(kEmbd);
  return adapter;
}

// A head that always says the size of this index.
retriever::Adapter adapter_for_size(int64_t index) {
  retriever::Adapter adapter = adapter_with(false, true);
  adapter.budgets[2].bias.zero_();
  adapter.budgets[2].bias[index] = 1;
  return adapter;
}

std::vector<int32_t> kept(const PolicyOptions& options, const retriever::Adapter& adapter) {
  std::vector<int32_t> slots{10, 11, 12, 13, 14};
  // Shares of all, which is 1 together with a local share of 0.2.
  std::vector<float> scores{0.05f, 0.3f, 0.1f, 0.3f, 0.05f};
  for (float& score : scores) score = std::log(score) + 7;
  const std::vector<float> x(kEmbd, 1.0f);
  const int32_t n = SetSizes(options, adapter)
                        .keep(2, x.data(),
                              {.slots = slots,
                               .scores = scores,
                               .log_mass = std::log(0.8f) + 7,
                               .local = std::log(0.2f) + 7});
  return {slots.begin(), slots.begin() + n};
}

TEST(SetSize, AThresholdKeepsTheTokensWithMoreThanItsShare) {
  EXPECT_EQ(kept({}, adapter_with(true, false)), (std::vector<int32_t>{11, 13}));
  EXPECT_EQ(kept({.min_share = 0.09}, adapter_with(false, false)),
            (std::vector<int32_t>{11, 12, 13}));
  EXPECT_EQ(kept({.min_share = 0.5}, adapter_with(false, false)), (std::vector<int32_t>{}));
}

TEST(SetSize, ABudgetKeepsTheBestAndOfEqualOnesTheFirst) {
  EXPECT_EQ(kept({}, adapter_for_size(0)), (std::vector<int32_t>{}));
  EXPECT_EQ(kept({}, adapter_for_size(1)), (std::vector<int32_t>{11, 13}));
  EXPECT_EQ(kept({}, adapter_for_size(2)), (std::vector<int32_t>{10, 11, 12, 13}));
  EXPECT_EQ(kept({}, adapter_for_size(3)), (std::vector<int32_t>{10, 11, 12, 13, 14}));
}

TEST(SetSize, AutoIsTheBestThatTheAdapterWasTrainedFor) {
  EXPECT_EQ(size_rule({}, adapter_with(false, false)), SizeRule::kTopK);
  EXPECT_EQ(size_rule({}, adapter_with(true, false)), SizeRule::kThreshold);
  EXPECT_EQ(size_rule({}, adapter_with(true, true)), SizeRule::kBudget);
  EXPECT_EQ(size_rule({.retrieve = "topk"}, adapter_with(true, true)), SizeRule::kTopK);
  EXPECT_EQ(size_rule({.retrieve = "threshold"}, adapter_with(true, true)), SizeRule::kThreshold);
  EXPECT_EQ(size_rule({.min_share = 0.01}, adapter_with(true, true)), SizeRule::kThreshold);
}

TEST(SetSize, WhatTheAdapterDoesNotHaveIsNamed) {
  const auto refusal = [](const PolicyOptions& options) -> std::string {
    try {
      size_rule(options, adapter_with(false, false));
    } catch (const Error& e) {
      return e.what();
    }
    return "no throw";
  };
  EXPECT_NE(refusal({.retrieve = "budget"}).find("no trained budget heads"), std::string::npos);
  EXPECT_NE(refusal({.retrieve = "threshold"}).find("no trained thresholds; --min-share"),
            std::string::npos);
}

}  // namespace
}  // namespace dsrasq::policy
