#include "dsrasq/train/dense_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsrasq/train/teacher_policy.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kTokens = 50, kHeads = 4, kKvHeads = 2, kDim = 8;

policy::AttentionShape make_shape(int64_t sliding_window = 0, double softcap = 0) {
  std::vector<double> frequencies;
  for (int i = 0; i < kDim / 2; ++i) frequencies.push_back(std::pow(10.0, -i));
  return {.n_layers = 1,
          .n_embd = 16,
          .n_heads = kHeads,
          .n_kv_heads = kKvHeads,
          .head_dim = kDim,
          .context = 64,
          .logit_softcap = softcap,
          .layers = {{sliding_window, 0.5, ops::Rope(frequencies)}}};
}

policy::LayerInput make_input() {
  at::manual_seed(11);
  return {.layer = 0,
          .x = at::randn({kTokens, 16}),
          .q = at::randn({kTokens, kHeads, kDim}),
          .k = at::randn({kTokens, kKvHeads, kDim}),
          .v = at::randn({kTokens, kKvHeads, kDim})};
}

// Weights of query i of a head on tokens 0..i, by plain loops in double.
std::vector<double> weights_of(const policy::LayerInput& in, const policy::AttentionShape& shape,
                               int64_t i, int64_t head, int64_t d_max) {
  const auto& layer = shape.layers[0];
  const int64_t kv = head / (kHeads / kKvHeads);
  std::vector<double> weights;
  double sum = 0;
  for (int64_t j = 0; j <= i; ++j) {
    const auto distance = static_cast<double>(d_max > 0 ? std::min(i - j, d_max) : i - j);
    double dot = 0;
    for (int64_t d = 0; d < kDim / 2; ++d) {
      const double angle = distance * layer.rope.inv_freq()[static_cast<size_t>(d)];
      const double q1 = in.q[i][head][d].item<double>();
      const double q2 = in.q[i][head][d + kDim / 2].item<double>();
      const double k1 = in.k[j][kv][d].item<double>();
      const double k2 = in.k[j][kv][d + kDim / 2].item<double>();
      dot += (q1 * std::cos(angle) - q2 * std::sin(angle)) * k1 +
             (q2 * std::cos(angle) + q1 * std::sin(angle)) * k2;
    }
    double logit = dot * layer.scale;
    if (shape.logit_softcap > 0)
      logit = shape.logit_softcap * std::tanh(logit / shape.logit_softcap);
    const bool seen = layer.sliding_window == 0 || j > i - layer.sliding_window;
    weights.push_back(seen ? std::exp(logit) : 0);
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

void expect_output(const policy::AttentionShape& shape, int64_t d_max, bool clamped) {
  const policy::LayerInput in = make_input();
  AngleCache angles(at::kCPU);
  const DenseAttention attention = DenseAttention::of(in, shape, d_max, angles);
  const at::Tensor out = attend_densely(attention, clamped);
  ASSERT_EQ(out.sizes(), in.q.sizes());
  for (int64_t i : {0, 3, 17, 49})
    for (int64_t h = 0; h < kHeads; ++h) {
      const std::vector<double> weights = weights_of(in, shape, i, h, clamped ? d_max : 0);
      for (int64_t d = 0; d < kDim; ++d) {
        double want = 0;
        for (int64_t j = 0; j <= i; ++j)
          want += weights[static_cast<size_t>(j)] * in.v[j][h / 2][d].item<double>();
        EXPECT_NEAR(out[i][h][d].item<double>(), want, 2e-5) << i << " " << h << " " << d;
      }
    }
}

TEST(DenseAttention, PlainCausalAttentionIsExact) { expect_output(make_shape(), 0, false); }
TEST(DenseAttention, UnclampedOutputIgnoresTheLongestDistance) {
  expect_output(make_shape(), 20, false);
}
TEST(DenseAttention, DistancesStopAtTheLongest) { expect_output(make_shape(), 20, true); }
TEST(DenseAttention, SlidingLayersSeeTheirWindowOnly) { expect_output(make_shape(9), 0, false); }
TEST(DenseAttention, LogitsAreSoftCapped) { expect_output(make_shape(0, 1.5), 20, true); }

TEST(FarAttention, IsTheMeanOverHeadsBetweenSinksAndWindow) {
  constexpr int64_t kSinks = 3, kWindow = 6, kMaxDistance = 25;
  const policy::AttentionShape shape = make_shape();
  const policy::LayerInput in = make_input();
  AngleCache angles(at::kCPU);
  const DenseAttention attention = DenseAttention::of(in, shape, kMaxDistance, angles);
  const std::vector<int64_t> rows{12, 30, 45};
  const AttentionTarget target =
      far_attention(attention, {at::tensor(rows, at::kLong), rows.back()}, kSinks, kWindow);
  ASSERT_EQ(target.mass.size(1), 45 - kWindow + 1 - kSinks);
  EXPECT_EQ(target.first, kSinks);
  EXPECT_EQ(target.window, kWindow);
  for (size_t r = 0; r < rows.size(); ++r)
    for (int64_t c = 0; c < target.mass.size(1); ++c) {
      const int64_t j = kSinks + c;
      double want = 0;
      for (int64_t h = 0; h < kHeads && j <= rows[r] - kWindow; ++h)
        want += weights_of(in, shape, rows[r], h, kMaxDistance)[static_cast<size_t>(j)] / kHeads;
      EXPECT_NEAR(target.mass[static_cast<int64_t>(r)][c].item<double>(), want, 1e-5);
    }
}

TEST(TeacherPolicy, VisitsLayersWithFullAttentionOnly) {
  AngleCache angles(at::kCPU);
  const SampledRows rows{at::tensor(std::vector<int64_t>{20, 40}, at::kLong), 40};
  for (int64_t sliding : {0, 9}) {
    const policy::AttentionShape shape = make_shape(sliding);
    int visits = 0;
    TeacherPolicy teacher(shape, {.sinks = 2, .window = 6}, rows, angles,
                          [&](int64_t layer, const at::Tensor& x, const AttentionTarget& target) {
                            ++visits;
                            EXPECT_EQ(layer, 0);
                            EXPECT_EQ(x.size(0), kTokens);
                            EXPECT_EQ(target.mass.size(0), 2);
                          });
    teacher.begin(kTokens);
    teacher.attend(make_input());
    teacher.end();
    EXPECT_EQ(visits, sliding == 0 ? 1 : 0);
    EXPECT_EQ(teacher.position(), kTokens);
  }
}

}  // namespace
}  // namespace dsrasq::train
