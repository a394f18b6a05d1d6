#include "dsrasq/cuda/gathered_attention.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "dsrasq/cuda/append_tokens.h"
#include "dsrasq/cuda/test_device.h"

namespace dsrasq::cuda {
namespace {

struct Shape {
  int dim, n_heads, n_kv_heads, k;
  int64_t first;
};

constexpr int64_t kCapacity = 1024, kTokens = 40, kWindow = 64, kDMax = 300;
constexpr int kSinks = 3;
constexpr float kScale = 0.2f;

// Random memory and queries; `expected` is one softmax by plain loops in double.
class Case {
 public:
  explicit Case(const Shape& s) : s_(s), rng_(static_cast<uint32_t>(s.dim + s.k)) {
    const auto kv = static_cast<size_t>(s.n_kv_heads), dim = static_cast<size_t>(s.dim);
    k_.resize(kCapacity * kv * dim), v_.resize(k_.size());
    for (int8_t& c : k_) c = static_cast<int8_t>(uniform(-127, 127));
    for (int8_t& c : v_) c = static_cast<int8_t>(uniform(-127, 127));
    k_scale_ = scales(kCapacity * kv), v_scale_ = scales(kCapacity * kv);
    for (auto* rows : {&q_, &q_far_, &window_out_}) *rows = halves(kTokens * s.n_heads * dim);
    for (auto* rows : {&sink_k_, &sink_k_rotated_, &sink_v_}) *rows = halves(kSinks * kv * dim);
    for (int64_t i = 0; i < kTokens * s.n_heads; ++i)
      window_mass_.push_back(static_cast<float>(uniform(0, 400)) * 0.01f);
    for (int64_t i = 0; i < kTokens; ++i) {
      n_selected_.push_back(i % 5 == 3 ? 0 : uniform(1, s.k));
      for (int j = 0; j < s.k; ++j)
        selected_.push_back(static_cast<int32_t>(
            (s.first + i - uniform(static_cast<int>(kWindow), 900)) % kCapacity));
    }
    for (int i = 0; i < s.dim / 2; ++i) inv_freq_.push_back(std::pow(1e3, -2.0 * i / s.dim));
  }

  std::vector<Bf16> run() const {
    const DeviceArray<int8_t> k(k_), v(v_);
    const DeviceArray<float> k_scale(k_scale_), v_scale(v_scale_), mass(window_mass_);
    const DeviceArray<Bf16> q(q_), q_far(q_far_), window_out(window_out_), sink_k(sink_k_),
        sink_k_rotated(sink_k_rotated_), sink_v(sink_v_), out(q_.size());
    const DeviceArray<int32_t> selected(selected_), n_selected(n_selected_);
    const DeviceArray<double> inv_freq(inv_freq_);
    const size_t angles = kCapacity * static_cast<size_t>(s_.dim) / 2;
    const DeviceArray<float> cos(angles), sin(angles);
    const DeviceArray<uint16_t> turns(2 * angles);
    const int64_t oldest = std::max<int64_t>(0, s_.first - 900);
    fill_angles(inv_freq.data(), s_.dim / 2, oldest, s_.first + kTokens - oldest, kCapacity,
                cos.data(), sin.data(), turns.data(), nullptr);
    gathered_attention({.q = q.data(),
                        .q_far = q_far.data(),
                        .ring = {.k = k.data(),
                                 .v = v.data(),
                                 .k_scale = k_scale.data(),
                                 .v_scale = v_scale.data(),
                                 .index_key = nullptr,
                                 .index_scale = nullptr,
                                 .cos = cos.data(),
                                 .sin = sin.data(),
                                 .turns = turns.data(),
                                 .capacity = kCapacity},
                        .selected = selected.data(),
                        .n_selected = n_selected.data(),
                        .k = s_.k,
                        .sink_k = sink_k.data(),
                        .sink_k_rotated = sink_k_rotated.data(),
                        .sink_v = sink_v.data(),
                        .n_sinks = kSinks,
                        .window_out = window_out.data(),
                        .window_mass = mass.data(),
                        .n = kTokens,
                        .first = s_.first,
                        .window = kWindow,
                        .d_max = kDMax,
                        .n_heads = s_.n_heads,
                        .n_kv_heads = s_.n_kv_heads,
                        .head_dim = s_.dim,
                        .scale = kScale,
                        .out = out.data()},
                       nullptr);
    return out.host();
  }

  std::vector<double> expected(int64_t i, int head) const {
    const int g = head / (s_.n_heads / s_.n_kv_heads), dim = s_.dim;
    const int64_t position = s_.first + i, row = (i * s_.n_heads + head) * dim;
    std::vector<double> logits{window_mass_[static_cast<size_t>(head * kTokens + i)]};
    std::vector<std::vector<double>> values{row_of(window_out_, row)};
    for (int64_t j = 0; j < kSinks && j <= position - kWindow; ++j) {
      const bool is_far = position - j >= kDMax;
      const int64_t at = (j * s_.n_kv_heads + g) * dim;
      logits.push_back(kScale * dot(row_of(is_far ? q_far_ : q_, row),
                                    row_of(is_far ? sink_k_ : sink_k_rotated_, at)));
      values.push_back(row_of(sink_v_, at));
    }
    for (int s = 0; s < n_selected_[static_cast<size_t>(i)]; ++s) {
      const int64_t slot = selected_[static_cast<size_t>(i * s_.k + s)];
      const int64_t distance = ((position - slot) % kCapacity + kCapacity) % kCapacity;
      const bool is_far = distance >= kDMax;
      const auto at = static_cast<size_t>(slot * s_.n_kv_heads + g);
      std::vector<double> key(static_cast<size_t>(dim)), value(key.size());
      for (size_t c = 0; c < key.size(); ++c) {
        key[c] = double{k_scale_[at]} * k_[at * key.size() + c];
        value[c] = double{v_scale_[at]} * v_[at * key.size() + c];
      }
      if (!is_far) turn(key, position - distance);
      logits.push_back(kScale * dot(row_of(is_far ? q_far_ : q_, row), key));
      values.push_back(value);
    }
    return softmax_sum(logits, values);
  }

 private:
  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng_); }
  std::vector<float> scales(size_t n) {
    std::vector<float> out(n);
    for (float& value : out) value = static_cast<float>(uniform(50, 1000)) * 2e-5f;
    return out;
  }
  std::vector<Bf16> halves(size_t n) {
    std::normal_distribution<float> normal;
    std::vector<Bf16> out(n);
    for (Bf16& value : out) value = bf16_of(normal(rng_));
    return out;
  }
  std::vector<double> row_of(const std::vector<Bf16>& rows, int64_t at) const {
    std::vector<double> out;
    for (int c = 0; c < s_.dim; ++c) out.push_back(float_of(rows[static_cast<size_t>(at + c)]));
    return out;
  }
  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
    return sum;
  }
  void turn(std::vector<double>& key, int64_t position) const {
    const size_t half = key.size() / 2;
    for (size_t c = 0; c < half; ++c) {
      const double angle = static_cast<double>(position) * inv_freq_[c], low = key[c];
      key[c] = low * std::cos(angle) - key[c + half] * std::sin(angle);
      key[c + half] = key[c + half] * std::cos(angle) + low * std::sin(angle);
    }
  }
  static std::vector<double> softmax_sum(const std::vector<double>& logits,
                                         const std::vector<std::vector<double>>& values) {
    const double most = *std::max_element(logits.begin(), logits.end());
    std::vector<double> out(values.front().size(), 0.0);
    double total = 0;
    for (size_t t = 0; t < logits.size(); ++t) {
      const double weight = std::exp(logits[t] - most);
      total += weight;
      for (size_t c = 0; c < out.size(); ++c) out[c] += weight * values[t][c];
    }
    for (double& value : out) value /= total;
    return out;
  }

  Shape s_;
  std::mt19937 rng_;
  std::vector<int8_t> k_, v_;
  std::vector<float> k_scale_, v_scale_, window_mass_;
  std::vector<Bf16> q_, q_far_, window_out_, sink_k_, sink_k_rotated_, sink_v_;
  std::vector<int32_t> selected_, n_selected_;
  std::vector<double> inv_freq_;
};

using CudaGatheredAttention = GpuTest;

TEST_F(CudaGatheredAttention, IsOneSoftmaxOverWindowSinksAndPicked) {
  // 1, 2, 3, 4, 6, 7, 8 and 9 heads share a KV head; fewer tokens than a step, a step, and more.
  const Shape shapes[] = {{64, 9, 3, 64, 5000},   {64, 6, 2, 7, 2000},    {64, 3, 3, 100, 2001},
                          {128, 8, 2, 33, 2000},  {128, 14, 2, 20, 2000}, {256, 4, 1, 40, 2000},
                          {64, 8, 4, 16, 1000},   {64, 9, 3, 256, 9000},  {64, 12, 2, 32, 3000},
                          {128, 16, 2, 65, 3000}, {64, 9, 1, 31, 3000},   {256, 6, 2, 96, 3000},
                          {128, 4, 4, 1, 3000}};
  for (const Shape& shape : shapes) {
    const Case attention(shape);
    const std::vector<Bf16> got = attention.run();
    for (int64_t i = 0; i < kTokens; ++i)
      for (int head = 0; head < shape.n_heads; ++head) {
        const std::vector<double> want = attention.expected(i, head);
        for (size_t c = 0; c < want.size(); ++c) {
          const auto at = static_cast<size_t>((i * shape.n_heads + head) * shape.dim) + c;
          ASSERT_NEAR(float_of(got[at]), want[c], 0.006 * std::abs(want[c]) + 2e-3)
              << "query " << i << ", head " << head << ", head size " << shape.dim;
        }
      }
  }
}

}  // namespace
}  // namespace dsrasq::cuda
