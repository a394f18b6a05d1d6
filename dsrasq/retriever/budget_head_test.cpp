#include "dsrasq/retriever/budget_head.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace dsrasq::retriever {
namespace {

constexpr auto kSizes = static_cast<int64_t>(kBudgetSizes.size());

BudgetParameters random_head(int64_t n_embd) {
  return {at::randn({kSizes, n_embd + kBudgetFeatures}), at::randn({kSizes})};
}

TEST(BudgetHead, DoesNotMindTheScaleOfItsInput) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({2, 4}), features = at::zeros({2, kBudgetFeatures});
  const BudgetParameters head = random_head(4);
  const at::Tensor logits = budget_logits(head, x, features);
  EXPECT_TRUE(budget_logits(head, 50 * x, features).allclose(logits, 1e-4, 1e-5));
  EXPECT_GT(logits.std().item<float>(), 0.1f);
}

TEST(BudgetHead, SeesTheLogMassOfTheBestCandidates) {
  const at::Tensor share = at::tensor({0.4, 0.2, 0.1, 0.05, 0.03, 0.02}).unsqueeze(0);
  const at::Tensor best = at::cat({share.log(), at::full({1, 1}, -1e30)}, 1);
  const at::Tensor seen = budget_features(best, at::full({1, 1}, std::log(0.2))).exp().squeeze(0);
  const double wanted[] = {0.2, 0.4, 0.6, 0.75, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8};
  ASSERT_EQ(seen.size(0), kBudgetFeatures);
  for (int64_t i = 0; i < kBudgetFeatures; ++i)
    EXPECT_NEAR(seen[i].item<double>(), wanted[i], 1e-6) << i;
}

TEST(BudgetHead, OnTheCpuTakesTheSizesThatTheTensorOperationsTake) {
  at::manual_seed(2);
  constexpr int64_t kRows = 400, kEmbd = 24;
  const BudgetParameters parameters = random_head(kEmbd);
  const BudgetHead head(parameters);
  for (const int64_t n : {1, 3, 100, 256, 300}) {
    const at::Tensor x = at::randn({kRows, kEmbd}) * 3;
    const at::Tensor all = at::cat({at::randn({kRows, n}) * 3, at::randn({kRows, 1})}, 1);
    const at::Tensor log_p = all.log_softmax(1);
    const at::Tensor candidates = log_p.narrow(1, 0, n).contiguous(), local = log_p.narrow(1, n, 1);
    const at::Tensor best = std::get<0>(candidates.topk(std::min<int64_t>(n, 256), 1));
    const at::Tensor choice = budget_logits(parameters, x, budget_features(best, local)).argmax(1);
    int64_t n_same = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      const float* row = candidates.const_data_ptr<float>() + r * n;
      std::vector<float> scratch(row, row + n);
      const int64_t size =
          head.size(x.const_data_ptr<float>() + r * kEmbd, scratch, local[r].item<float>());
      n_same += size == kBudgetSizes[static_cast<size_t>(choice[r].item<int64_t>())];
    }
    EXPECT_GE(n_same, kRows - 1) << "of " << n << " candidates; a near tie may round either way";
  }
}

TEST(BudgetHead, GivesNothingWhereThereIsNothing) {
  at::manual_seed(3);
  const BudgetHead head(random_head(8));
  const std::vector<float> x(8, 1.0f);
  EXPECT_EQ(head.size(x.data(), {}, 0), 0);
}

}  // namespace
}  // namespace dsrasq::retriever
