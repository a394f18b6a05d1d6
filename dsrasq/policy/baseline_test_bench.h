#pragma once

// What the tests of the baselines share: random layers of a model, reading them in calls of any
// size, and attention by plain loops in double.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "dsrasq/policy/factory.h"
#include "dsrasq/policy/layered_policy.h"

namespace dsrasq::policy {

/// Query heads and KV heads of a model of 3 layers with a head size of 16.
struct TestHeads {
  int64_t n_heads = 6, n_kv_heads = 2;
  int64_t n_rep() const { return n_heads / n_kv_heads; }
};
inline const TestHeads kTestHeads[] = {{6, 2}, {6, 3}};
inline constexpr int64_t kTestLayers = 3, kTestDim = 16;

inline AttentionShape test_shape(const TestHeads& heads, int64_t sliding_window = 0,
                                 double softcap = 0) {
  std::vector<double> inv_freq;
  for (int64_t i = 0; i < kTestDim / 2; ++i)
    inv_freq.push_back(std::pow(1e4, -2.0 * static_cast<double>(i) / kTestDim));
  AttentionShape shape{.n_layers = kTestLayers,
                       .n_embd = 32,
                       .n_heads = heads.n_heads,
                       .n_kv_heads = heads.n_kv_heads,
                       .head_dim = kTestDim,
                       .context = 256,
                       .logit_softcap = softcap,
                       .layers = {}};
  for (int64_t i = 0; i < kTestLayers; ++i)
    shape.layers.push_back({i == 0 ? sliding_window : 0, 0.4, ops::Rope(inv_freq)});
  return shape;
}

/// What the layers of a model would hand over for some tokens.
struct TestStream {
  at::Tensor x, q, k, v;  // [L, T, ...]
  TestStream(const TestHeads& heads, int64_t n_tokens)
      : x(at::randn({kTestLayers, n_tokens, 32})),
        q(at::randn({kTestLayers, n_tokens, heads.n_heads, kTestDim})),
        k(at::randn({kTestLayers, n_tokens, heads.n_kv_heads, kTestDim})),
        v(at::randn({kTestLayers, n_tokens, heads.n_kv_heads, kTestDim})) {}
};

/// Outputs [L, n, H, D] of the next n tokens, read in calls of `cuts` tokens in turn.
inline at::Tensor read_on(Policy& policy, const TestStream& stream, int64_t n,
                          const std::vector<int64_t>& cuts = {64}) {
  at::set_num_threads(1);  // for such small products, threads mostly wait for each other
  const int64_t first = policy.position();
  at::Tensor out = at::empty({kTestLayers, n, stream.q.size(2), kTestDim});
  for (int64_t done = 0, turn = 0; done < n; ++turn) {
    const int64_t wanted = cuts[static_cast<size_t>(turn) % cuts.size()];
    const int64_t count = policy.admit(std::min(wanted, n - done));
    policy.begin(count);
    for (int64_t l = 0; l < kTestLayers; ++l) {
      const auto part = [&](const at::Tensor& all) {
        return all[l].narrow(0, first + done, count).contiguous();
      };
      const LayerInput input{l, part(stream.x), part(stream.q), part(stream.k), part(stream.v)};
      out[l].narrow(0, done, count).copy_(policy.attend(input));
    }
    policy.end();
    done += count;
  }
  return out;
}

inline const LayeredPolicy& layered(const Policy& policy) {
  return dynamic_cast<const LayeredPolicy&>(policy);
}

/// One layer by plain loops.
struct LoopLayer {
  const AttentionShape& shape;
  const TestStream& stream;
  int64_t layer = 0;

  int64_t n_rep() const { return shape.n_heads / shape.n_kv_heads; }
  const float* row(const at::Tensor& all, int64_t token, int64_t head) const {
    return all.const_data_ptr<float>() +
           ((layer * all.size(1) + token) * all.size(2) + head) * kTestDim;
  }
  const float* query(int64_t i, int64_t h) const { return row(stream.q, i, h); }
  const float* key(int64_t j, int64_t h) const { return row(stream.k, j, h / n_rep()); }
  const float* value(int64_t j, int64_t h) const { return row(stream.v, j, h / n_rep()); }

  /// `x` turned to a position.
  std::vector<double> turned(const float* x, int64_t position) const {
    const auto& inv_freq = shape.layers[static_cast<size_t>(layer)].rope.inv_freq();
    std::vector<double> y(kTestDim);
    for (size_t d = 0, half = kTestDim / 2; d < half; ++d) {
      const double angle = static_cast<double>(position) * inv_freq[d];
      const double c = std::cos(angle), s = std::sin(angle);
      y[d] = x[d] * c - x[d + half] * s;
      y[d + half] = x[d + half] * c + x[d] * s;
    }
    return y;
  }
  double capped(double product) const {
    const double logit = product * shape.layers[static_cast<size_t>(layer)].scale;
    const double cap = shape.logit_softcap;
    return cap > 0 ? cap * std::tanh(logit / cap) : logit;
  }
  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
    return sum;
  }
  /// Of query i and key j of head h at these positions.
  double logit(int64_t h, int64_t i, int64_t j, int64_t query_at, int64_t key_at) const {
    return capped(dot(turned(query(i, h), query_at), turned(key(j, h), key_at)));
  }
  static std::vector<double> softmax(std::vector<double> logits) {
    double sum = 0;
    for (double& x : logits) sum += x = std::exp(x);
    for (double& x : logits) x /= sum;
    return logits;
  }
  /// Weights of head h of query i over the tokens, at their true positions.
  std::vector<double> weights(int64_t h, int64_t i, const std::vector<int64_t>& tokens) const {
    std::vector<double> logits;
    for (const int64_t j : tokens) logits.push_back(logit(h, i, j, i, j));
    return softmax(std::move(logits));
  }
  std::vector<double> sum(int64_t h, const std::vector<double>& weights,
                          const std::vector<int64_t>& tokens) const {
    std::vector<double> out(kTestDim);
    for (size_t n = 0; n < tokens.size(); ++n)
      for (size_t d = 0; d < kTestDim; ++d)
        out[d] += weights[n] * static_cast<double>(value(tokens[n], h)[d]);
    return out;
  }
};

/// Expects what head h of query i read, in outputs `[L, T, H, D]` from position `first` on.
inline void expect_read(const at::Tensor& out, int64_t layer, int64_t i, int64_t h,
                        const std::vector<double>& want, int64_t first = 0) {
  const at::Tensor got = out[layer][i - first][h].contiguous();
  for (size_t d = 0; d < want.size(); ++d)
    ASSERT_NEAR(got.const_data_ptr<float>()[d], want[d], 2e-5)
        << "layer " << layer << ", query " << i << ", head " << h;
}

inline std::vector<int64_t> up_to(int64_t n) {
  std::vector<int64_t> all;
  for (int64_t j = 0; j < n; ++j) all.push_back(j);
  return all;
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace dsrasq::policy
