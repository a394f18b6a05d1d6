#include "dsrasq/train/windowed_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace dsrasq::train {
namespace {

constexpr double kScale = 0.7;

at::Tensor random(int64_t length, bool learns) {
  return at::randn({2, 3, length, 4}, at::kDouble).requires_grad_(learns);
}

// With every product, and a mask.
at::Tensor by_mask(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t window) {
  const int64_t length = q.size(2);
  const at::Tensor seen = at::ones({length, length}, at::kBool).tril(0).triu(1 - window);
  return (q.matmul(k.transpose(2, 3)) * kScale)
      .masked_fill(seen.logical_not(), -1e30)
      .softmax(3)
      .matmul(v);
}

TEST(WindowedAttention, IsThatOfAMaskForEveryLength) {
  at::manual_seed(1);
  for (const int64_t window : {1, 2, 5})
    for (int64_t length = 1; length <= 16; ++length) {
      const at::Tensor q = random(length, false), k = random(length, false),
                       v = random(length, false);
      EXPECT_TRUE(windowed_attention(q, k, v, window, kScale)
                      .allclose(by_mask(q, k, v, window), 1e-10, 1e-10))
          << window << ' ' << length;
    }
}

TEST(WindowedAttention, GradientsAreThoseOfTheMask) {
  at::manual_seed(2);
  const std::vector<at::Tensor> inputs{random(13, true), random(13, true), random(13, true)};
  const at::Tensor along = at::randn({2, 3, 13, 4}, at::kDouble);
  std::vector<at::Tensor> wanted;
  (by_mask(inputs[0], inputs[1], inputs[2], 5) * along).sum().backward();
  for (const at::Tensor& input : inputs) {
    wanted.push_back(input.grad().clone());
    input.mutable_grad().zero_();
  }
  (windowed_attention(inputs[0], inputs[1], inputs[2], 5, kScale) * along).sum().backward();
  for (size_t i = 0; i < inputs.size(); ++i)
    EXPECT_TRUE(inputs[i].grad().allclose(wanted[i], 1e-10, 1e-10)) << i;
}

}  // namespace
}  // namespace dsrasq::train
