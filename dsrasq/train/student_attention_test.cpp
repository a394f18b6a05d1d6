#include "dsrasq/train/student_attention.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "dsrasq/train/student_policy.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kTokens = 37, kEmbd = 12, kHeads = 4, kKvHeads = 2, kDim = 8;
constexpr int64_t kIndexHeads = 2, kIndexDim = 4;

policy::AttentionShape small_shape() {
  std::vector<double> inv_freq;
  for (int64_t i = 0; i < kDim / 2; ++i)
    inv_freq.push_back(std::pow(100.0, -2.0 * static_cast<double>(i) / kDim));
  return {.n_layers = 1,
          .n_embd = kEmbd,
          .n_heads = kHeads,
          .n_kv_heads = kKvHeads,
          .head_dim = kDim,
          .context = 64,
          .logit_softcap = 0,
          .layers = {{0, 0.35, ops::Rope(inv_freq)}}};
}

at::Tensor normal(at::IntArrayRef shape) {
  return at::randn(shape, at::TensorOptions().dtype(at::kDouble));
}

// A layer's input and an indexer in double precision.
struct Layer {
  Layer() {
    at::set_num_threads(1);  // small tensors are done sooner by one
    at::manual_seed(5);
    x = normal({kTokens, kEmbd});
    q = normal({kTokens, kHeads, kDim});
    k = normal({kTokens, kKvHeads, kDim});
    v = normal({kTokens, kKvHeads, kDim});
    indexer = retriever::Adapter::random(kEmbd, kIndexHeads, kIndexDim, 3);
    indexer.visit([](const char*, at::Tensor& t) { t = t.to(at::kDouble); });
    indexer.head_bias.fill_(0.6);
    indexer.local_bias.fill_(1.5);
    threshold = at::full({1}, -3.0, at::kDouble);
  }
  policy::LayerInput input() const { return {.layer = 0, .x = x, .q = q, .k = k, .v = v}; }
  std::vector<at::Tensor*> inputs() { return {&x, &q, &k, &v}; }
  std::vector<at::Tensor*> parameters() {
    std::vector<at::Tensor*> all{&threshold};
    indexer.visit([&](const char*, at::Tensor& t) { all.push_back(&t); });
    return all;
  }
  at::Tensor x, q, k, v, threshold;
  retriever::IndexerParameters indexer;
};

StudentRead attend(const Layer& layer, const StudentRules& rules, int64_t d_max = 0) {
  static const policy::AttentionShape shape = small_shape();
  static AngleCache angles(at::kCPU);
  const StudentIndex index =
      StudentIndex::of(layer.indexer, layer.threshold, layer.x, kIndexHeads, false);
  return attend_sparsely(DenseAttention::of(layer.input(), shape, d_max, angles), &index, rules);
}

StudentRules small_rules() { return {.window = 9, .sinks = 2, .top_k = 5, .chunk_rows = 8}; }

// Whether `gradient` is the derivative of `value` along random directions of `parameter`.
void expect_gradient(at::Tensor& parameter, const at::Tensor& gradient,
                     const std::function<double()>& value) {
  constexpr double kStep = 1e-6;
  const at::Tensor before = parameter.clone();
  for (int direction = 0; direction < 6; ++direction) {
    const at::Tensor along = at::randn_like(before);
    parameter.copy_(before + kStep * along);
    const double above = value();
    parameter.copy_(before - kStep * along);
    const double wanted = (above - value()) / (2 * kStep);
    parameter.copy_(before);
    EXPECT_NEAR((gradient * along).sum().item<double>(), wanted, 1e-6 * (1 + std::abs(wanted)));
  }
}

void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance) {
  EXPECT_LT((a - b).abs().max().item<double>(), tolerance)
      << a.abs().max().item<double>() << " against " << b.abs().max().item<double>();
}

TEST(StudentAttention, WithEverythingPickedItIsFullAttention) {
  const Layer layer;
  StudentRules rules = small_rules();
  rules.top_k = 1000;
  for (const int64_t d_max : {0, 15}) {
    const policy::AttentionShape shape = small_shape();
    AngleCache angles(at::kCPU);
    const at::Tensor full =
        attend_densely(DenseAttention::of(layer.input(), shape, d_max, angles), d_max > 0);
    expect_close(attend(layer, rules, d_max).out, full, 1e-9);
  }
}

TEST(StudentAttention, PicksTheBestOfThePoolAndOfTiesTheEarliest) {
  Layer layer;
  // Every score is zero, so every choice is a tie.
  layer.indexer.head_weight.zero_();
  layer.indexer.head_bias.zero_();
  const StudentRules rules = small_rules();
  const StudentRead read = attend(layer, rules);
  // Tokens 2 to 6 are the earliest that no query has as sinks.
  const policy::AttentionShape shape = small_shape();
  AngleCache angles(at::kCPU);
  const DenseAttention a = DenseAttention::of(layer.input(), shape, 0, angles);
  const at::Tensor row = at::arange(kTokens).unsqueeze(1),
                   column = at::arange(kTokens).unsqueeze(0);
  const at::Tensor seen = (column <= row).logical_and((column > row - 9).logical_or(column < 7));
  const at::Tensor logits = grouped_product(a.q, a.k) * a.scale;
  const at::Tensor weights = logits.masked_fill(seen.logical_not(), -1e30).softmax(2);
  expect_close(read.out, weighted_values(weights, a.v), 1e-9);
  // Query i has i - 10 pool tokens, at most five of them picked.
  double picked = 0;
  for (int64_t i = 11; i < kTokens; ++i)
    picked += static_cast<double>(std::min<int64_t>(5, i - 10));
  EXPECT_EQ(read.picked.item<double>(), picked);
}

TEST(StudentAttention, OnlyTokensAboveTheThresholdArePicked) {
  const Layer layer;
  StudentRules rules = small_rules();
  rules.top_k = 1000;
  const double all = attend(layer, rules).picked.item<double>();
  rules.thresholded = true;
  const double some = attend(layer, rules).picked.item<double>();
  EXPECT_GT(some, 0);
  EXPECT_LT(some, all);
}

TEST(StudentAttention, GradientsOfWhatItReadsMatchFiniteDifferences) {
  Layer layer;
  const at::Tensor direction = normal({kTokens, kHeads, kDim});
  for (const int64_t d_max : {0, 15}) {
    const auto value = [&] {
      const at::NoGradGuard no_grad;
      return (attend(layer, small_rules(), d_max).out * direction).sum().item<double>();
    };
    for (at::Tensor* t : {&layer.q, &layer.k, &layer.v}) {
      *t = t->detach().requires_grad_(true);
      (attend(layer, small_rules(), d_max).out * direction).sum().backward();
      const at::Tensor gradient = t->grad();
      *t = t->detach();
      expect_gradient(*t, gradient, value);
    }
  }
}

// What the straight-through estimate is the exact gradient of: the picked tokens' logits carry
// log sigmoid(u) less its value at the start.
double surrogate(const Layer& layer, const at::Tensor& picked, const at::Tensor& start,
                 const at::Tensor& direction, at::Tensor* term_out) {
  const at::NoGradGuard no_grad;
  const policy::AttentionShape shape = small_shape();
  AngleCache angles(at::kCPU);
  const DenseAttention a = DenseAttention::of(layer.input(), shape, 0, angles);
  const StudentIndex index =
      StudentIndex::of(layer.indexer, layer.threshold, layer.x, kIndexHeads, false);
  const at::Tensor row = at::arange(kTokens).unsqueeze(1),
                   column = at::arange(kTokens).unsqueeze(0);
  const at::Tensor in_pool = (column <= row - 9).logical_and(column >= 2);
  const at::Tensor dots = index.query.matmul(index.key.t()).relu();
  const at::Tensor z = at::einsum("hij,ih->ij", {dots, index.weight}).masked_fill(~in_pool, -1e30);
  const at::Tensor sum = z.exp().sum(1, true) + index.local.exp();
  const at::Tensor term = (z - sum.log() - index.threshold).sigmoid().log();
  if (term_out) *term_out = term;
  const at::Tensor local = (column <= row).logical_and((column > row - 9).logical_or(column < 2));
  at::Tensor bias = at::full({kTokens, kTokens}, -1e30, at::kDouble).masked_fill(local, 0);
  if (start.defined()) bias = at::where(picked, term - start, bias);
  const at::Tensor weights = (grouped_product(a.q, a.k) * a.scale + bias).softmax(2);
  return (weighted_values(weights, a.v) * direction).sum().item<double>();
}

TEST(StudentAttention, StraightThroughGradientIsTheOneOfTheSoftSurrogate) {
  Layer layer;
  const at::Tensor direction = normal({kTokens, kHeads, kDim});
  const StudentRules rules = small_rules();
  at::Tensor start;
  surrogate(layer, {}, {}, direction, &start);
  // The picks, by a stable sort: of the many scores that are zero the earliest come first.
  at::Tensor picked = at::zeros({kTokens, kTokens}, at::kBool);
  for (int64_t i = 11; i < kTokens; ++i) {
    const auto order = std::get<1>(at::sort(start[i].narrow(0, 2, i - 10), true, 0, true));
    picked[i].index_fill_(0, order.narrow(0, 0, std::min<int64_t>(5, i - 10)) + 2, true);
  }
  const auto value = [&] { return surrogate(layer, picked, start, direction, nullptr); };
  for (at::Tensor* t : layer.parameters()) {
    *t = t->detach().requires_grad_(true);
    (attend(layer, rules).out * direction).sum().backward();
    const at::Tensor gradient = t->grad();
    ASSERT_TRUE(gradient.defined());
    *t = t->detach();
    expect_gradient(*t, gradient, value);
  }
}

TEST(StudentAttention, ExpectedCountIsTheSumOfProbabilitiesWithItsGradient) {
  Layer layer;
  StudentRules rules = small_rules();
  rules.counts_expected = true;
  const auto value = [&] {
    const at::NoGradGuard no_grad;
    return attend(layer, rules).expected.item<double>();
  };
  at::Tensor log_share;
  surrogate(layer, {}, {}, at::zeros({kTokens, kHeads, kDim}, at::kDouble), &log_share);
  EXPECT_NEAR(value(), log_share.exp().sum().item<double>(), 1e-9);
  for (at::Tensor* t : layer.parameters()) {
    *t = t->detach().requires_grad_(true);
    attend(layer, rules).expected.backward();
    const at::Tensor gradient = t->grad();
    *t = t->detach();
    expect_gradient(*t, gradient, value);
  }
}

TEST(StudentAttention, ChunksChangeNeitherValuesNorGradients) {
  const at::Tensor direction = normal({kTokens, kHeads, kDim});
  std::vector<std::vector<at::Tensor>> results;
  for (const int64_t rows : {1, 7, 64}) {
    Layer layer;
    std::vector<at::Tensor*> all = layer.parameters();
    for (at::Tensor* t : layer.inputs()) all.push_back(t);
    for (at::Tensor* t : all) t->requires_grad_(true);
    StudentRules rules = small_rules();
    rules.counts_expected = true;
    rules.chunk_rows = rows;
    const StudentRead read = attend(layer, rules, 15);
    ((read.out * direction).sum() + read.expected).backward();
    results.push_back({read.out.detach()});
    for (at::Tensor* t : all) results.back().push_back(t->grad());
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    expect_close(results[1][i], results[0][i], 1e-10);
    expect_close(results[2][i], results[0][i], 1e-10);
  }
}

}  // namespace
}  // namespace dsrasq::train
