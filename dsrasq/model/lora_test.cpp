#include "dsrasq/model/lora.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq::model {
namespace {

constexpr int64_t kIn = 48, kRank = 5;

retriever::LowRank random_part(int64_t n_out) {
  return {at::randn({kRank, kIn}), at::randn({n_out, kRank})};
}

TEST(LowRankAddition, AddsEveryPartToItsOwnRows) {
  at::manual_seed(1);
  const retriever::LowRank q = random_part(32), v = random_part(16);
  const at::Tensor x = at::randn({7, kIn});
  const at::Tensor wanted = at::cat(
      {x.matmul(q.a.t()).matmul(q.b.t()), at::zeros({7, 16}), x.matmul(v.a.t()).matmul(v.b.t())},
      1);
  for (const bool packed : {false, true}) {
    const LowRankAddition addition({{q, 32}, {{}, 16}, {v, 16}},
                                   {.name = "lora.0.qkv", .n_in = kIn, .packed = packed});
    ASSERT_TRUE(static_cast<bool>(addition));
    EXPECT_LT((addition(x) - wanted).abs().max().item<float>(), 1e-3f);
    EXPECT_GT(addition.bytes(), 0u);
  }
}

TEST(LowRankAddition, BitsDoNotDependOnTheNumberOfRows) {
  at::manual_seed(2);
  const LowRankAddition addition({{random_part(32), 32}},
                                 {.name = "lora.0.o", .n_in = kIn, .packed = true});
  const at::Tensor x = at::randn({70, kIn}), all = addition(x);
  for (int64_t i = 0; i < 70; ++i)
    EXPECT_TRUE(addition(x.narrow(0, i, 1)).equal(all.narrow(0, i, 1))) << i;
}

TEST(LowRankAddition, GradientsReachItsValues) {
  retriever::LowRank part = random_part(8);
  part.a.requires_grad_(true);
  part.b.requires_grad_(true);
  const LowRankAddition addition({{part, 8}}, {.name = "lora.0.o", .n_in = kIn});
  addition(at::randn({3, kIn})).sum().backward();
  EXPECT_GT(part.a.grad().abs().sum().item<float>(), 0);
  EXPECT_GT(part.b.grad().abs().sum().item<float>(), 0);
}

TEST(LowRankAddition, IsNothingWithoutParts) {
  const LowRankAddition addition({{{}, 8}}, {.name = "lora.0.o", .n_in = kIn});
  EXPECT_FALSE(static_cast<bool>(addition));
  EXPECT_EQ(addition.bytes(), 0u);
}

TEST(LowRankAddition, OfAnotherModelIsRefusedWithBothShapes) {
  try {
    const LowRankAddition addition({{random_part(8), 9}}, {.name = "lora.3.o", .n_in = kIn});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what())
                  .find("lora.3.o leads from 48 to 8 features, the model's layer from 48 to 9"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace dsrasq::model
