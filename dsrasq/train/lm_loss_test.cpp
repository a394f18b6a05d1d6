#include "dsrasq/train/lm_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

namespace dsrasq::train {
namespace {

TEST(LmLossTest, GradientsAreThoseOfAutogradHoweverItIsCut) {
  at::manual_seed(1);
  const auto fp64 = at::TensorOptions(at::kDouble);
  const at::Tensor states = at::randn({10, 6}, fp64).requires_grad_(true);
  const at::Tensor head = at::randn({7, 6}, fp64).requires_grad_(true);
  const at::Tensor next = at::randint(7, {10}, at::kLong);
  const at::Tensor wanted = at::cross_entropy_loss(at::linear(states, head), next, {}, 2);
  (wanted * 0.25).backward();
  for (const int64_t rows : {1, 4, 100}) {
    const at::Tensor head_gradient = at::full({7, 6}, 2.0, fp64);
    const NextTokenLoss loss =
        next_token_loss(states.detach(), head.detach(), next, rows, 0.25, &head_gradient);
    EXPECT_NEAR(loss.sum.item<double>(), wanted.item<double>(), 1e-12);
    EXPECT_LT((loss.gradient - states.grad()).abs().max().item<double>(), 1e-12);
    EXPECT_LT((head_gradient - 2 - head.grad()).abs().max().item<double>(), 1e-12);
    EXPECT_FALSE(next_token_loss(states.detach(), head.detach(), next, rows).gradient.defined());
  }
}

TEST(LmLossTest, LogProbabilitiesAddUpToTheLoss) {
  at::manual_seed(2);
  const auto fp64 = at::TensorOptions(at::kDouble);
  const at::Tensor states = at::randn({10, 6}, fp64), head = at::randn({7, 6}, fp64);
  const at::Tensor next = at::randint(7, {10}, at::kLong);
  const at::Tensor wanted =
      at::linear(states, head).log_softmax(1).gather(1, next.unsqueeze(1)).squeeze(1);
  for (const int64_t rows : {1, 4, 100}) {
    const at::Tensor logprobs = next_token_logprobs(states, head, next, rows);
    EXPECT_LT((logprobs - wanted).abs().max().item<double>(), 1e-12);
    EXPECT_NEAR(-logprobs.sum().item<double>(),
                next_token_loss(states, head, next, rows).sum.item<double>(), 1e-10);
  }
}

}  // namespace
}  // namespace dsrasq::train
