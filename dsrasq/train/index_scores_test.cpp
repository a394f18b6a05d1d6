#include "dsrasq/train/index_scores.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::train {
namespace {

TEST(IndexScores, TheyAndTheirGradientsAreThoseOfTheFormula) {
  at::manual_seed(2);
  const auto leaf = [](at::IntArrayRef shape) {
    return at::randn(shape, at::TensorOptions().dtype(at::kDouble)).requires_grad_(true);
  };
  const at::Tensor query = leaf({3, 7, 4}), key = leaf({11, 4}), weight = leaf({7, 3});
  const at::Tensor direction = at::randn({7, 11}, at::kDouble);
  const auto gradients = [&](const at::Tensor& scores) {
    for (const at::Tensor& t : {query, key, weight}) t.mutable_grad() = at::Tensor();
    (scores * direction).sum().backward();
    return std::vector<at::Tensor>{query.grad(), key.grad(), weight.grad()};
  };
  const at::Tensor scores = index_scores(query, key, weight);
  const at::Tensor wanted = at::einsum("hij,ih->ij", {query.matmul(key.t()).relu(), weight});
  EXPECT_LT((scores - wanted).abs().max().item<double>(), 1e-12);
  const auto own = gradients(scores), wanted_gradients = gradients(wanted);
  for (size_t i = 0; i < own.size(); ++i)
    EXPECT_LT((own[i] - wanted_gradients[i]).abs().max().item<double>(), 1e-12) << i;
}

}  // namespace
}  // namespace dsrasq::train
