#include "dsrasq/cuda/append_tokens.h"

#include <cmath>
#include <random>
#include <vector>

#include "dsrasq/cuda/index_rows.h"
#include "dsrasq/cuda/test_device.h"
#include "dsrasq/kernels/int8_rows.h"

namespace dsrasq::cuda {
namespace {

constexpr int64_t kCapacity = 512, kFirst = 1'000'000'300, kTokens = 300, kDMax = 6000;
constexpr int32_t kHeads = 6, kKvHeads = 2;

std::vector<Bf16> random_rows(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<Bf16> rows(n);
  for (Bf16& value : rows) value = bf16_of(normal(rng));
  return rows;
}

class CudaAppendTokens : public GpuTest, public ::testing::WithParamInterface<int> {
 protected:
  int dim() const { return GetParam(); }
  std::vector<double> inv_freq() const {
    std::vector<double> values;
    for (int i = 0; i < dim() / 2; ++i) values.push_back(std::pow(1e4, -2.0 * i / dim()));
    return values;
  }
  // The row of head values `x`, turned by the angle at `position`.
  std::vector<float> rotated(const Bf16* x, int64_t position) const {
    const std::vector<double> frequency = inv_freq();
    const int half = dim() / 2;
    std::vector<float> out(static_cast<size_t>(dim()));
    for (int i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequency[static_cast<size_t>(i)];
      const double low = float_of(x[i]), high = float_of(x[i + half]);
      out[static_cast<size_t>(i)] =
          static_cast<float>(low * std::cos(angle) - high * std::sin(angle));
      out[static_cast<size_t>(i + half)] =
          static_cast<float>(high * std::cos(angle) + low * std::sin(angle));
    }
    return out;
  }
};

TEST_P(CudaAppendTokens, RotatesAndStoresAsTheCpuDoes) {
  const auto width = static_cast<size_t>(dim());
  const size_t stride = (kHeads + 2 * kKvHeads) * width;  // q, k and v of a token side by side
  const std::vector<Bf16> qkv = random_rows(kTokens * stride, 1);
  const DeviceArray<Bf16> rows(qkv), q_rotated(kTokens * kHeads * width),
      q_far(kTokens * kHeads * width), k_rotated(kTokens * kKvHeads * width),
      v_copy(kTokens * kKvHeads * width);
  const DeviceArray<double> frequency(inv_freq());
  const DeviceArray<float> cos(kCapacity * width / 2), sin(kCapacity * width / 2),
      cos_far(kCapacity * width / 2), sin_far(kCapacity * width / 2), k_scale(kCapacity * kKvHeads),
      v_scale(kCapacity * kKvHeads);
  const DeviceArray<int8_t> k(kCapacity * kKvHeads * width), v(kCapacity * kKvHeads * width);
  const auto half = static_cast<int32_t>(width / 2);
  fill_angles(frequency.data(), half, kFirst, kTokens, kCapacity, cos.data(), sin.data(), nullptr,
              nullptr);
  // Row 0 of this ring is that of d_max.
  fill_angles(frequency.data(), half, kDMax, 1, 1, cos_far.data(), sin_far.data(), nullptr,
              nullptr);
  append_tokens({.q = rows.data(),
                 .k = rows.data() + kHeads * width,
                 .v = rows.data() + (kHeads + kKvHeads) * width,
                 .q_stride = static_cast<int64_t>(stride),
                 .k_stride = static_cast<int64_t>(stride),
                 .v_stride = static_cast<int64_t>(stride),
                 .n = kTokens,
                 .first = kFirst,
                 .n_heads = kHeads,
                 .n_kv_heads = kKvHeads,
                 .head_dim = dim(),
                 .ring = {.k = k.data(),
                          .v = v.data(),
                          .k_scale = k_scale.data(),
                          .v_scale = v_scale.data(),
                          .index_key = nullptr,
                          .index_scale = nullptr,
                          .cos = cos.data(),
                          .sin = sin.data(),
                          .turns = nullptr,
                          .capacity = kCapacity},
                 .cos_far = cos_far.data(),
                 .sin_far = sin_far.data(),
                 .q_rotated = q_rotated.data(),
                 .q_far = q_far.data(),
                 .k_rotated = k_rotated.data(),
                 .v_copy = v_copy.data()},
                nullptr);
  const auto got_q = q_rotated.host(), got_far = q_far.host(), got_k = k_rotated.host(),
             got_v = v_copy.host();
  const auto codes_k = k.host(), codes_v = v.host();
  const auto scales_k = k_scale.host(), scales_v = v_scale.host();
  const auto expect_near = [&](const Bf16* got, const std::vector<float>& want) {
    for (size_t c = 0; c < width; ++c)
      ASSERT_NEAR(float_of(got[c]), want[c], 0.005 * std::abs(want[c]) + 1e-4);
  };
  const auto expect_codes = [&](const Bf16* x, const int8_t* codes, float scale) {
    std::vector<float> values(width);
    for (size_t c = 0; c < width; ++c) values[c] = float_of(x[c]);
    std::vector<int8_t> want(width);
    float want_scale = 0;
    kernels::quantize_rows_ref(values.data(), 1, dim(), want.data(), &want_scale);
    ASSERT_EQ(scale, want_scale);
    for (size_t c = 0; c < width; ++c) ASSERT_EQ(codes[c], want[c]);
  };
  for (size_t t = 0; t < kTokens; ++t) {
    const Bf16* token = qkv.data() + t * stride;
    const int64_t position = kFirst + static_cast<int64_t>(t);
    for (size_t h = 0; h < kHeads; ++h) {
      const Bf16* x = token + h * width;
      expect_near(got_q.data() + (t * kHeads + h) * width, rotated(x, position));
      expect_near(got_far.data() + (t * kHeads + h) * width, rotated(x, kDMax));
    }
    for (size_t g = 0; g < kKvHeads; ++g) {
      const Bf16* key = token + (kHeads + g) * width;
      const Bf16* value = token + (kHeads + kKvHeads + g) * width;
      const size_t out = t * kKvHeads + g;
      const size_t kept = static_cast<size_t>(position % kCapacity) * kKvHeads + g;
      expect_near(got_k.data() + out * width, rotated(key, position));
      for (size_t c = 0; c < width; ++c) ASSERT_EQ(got_v[out * width + c], value[c]);
      expect_codes(key, codes_k.data() + kept * width, scales_k[kept]);
      expect_codes(value, codes_v.data() + kept * width, scales_v[kept]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HeadSizes, CudaAppendTokens, ::testing::Values(64, 128, 256));

using CudaIndexRows = GpuTest;

TEST_F(CudaIndexRows, QuantisesAsTheCpuDoes) {
  constexpr int32_t kIndexHeads = 3, kIndexDim = 32;
  constexpr size_t kRow = (kIndexHeads + 1) * kIndexDim + kIndexHeads + 1;
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  const auto random = [&](size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = normal(rng);
    return values;
  };
  const std::vector<float> projected = random(kTokens * kRow), norm_weight = random(kIndexDim),
                           norm_bias = random(kIndexDim);
  const DeviceArray<float> rows(projected), weight(norm_weight), bias(norm_bias),
      key_scale(kCapacity), out_weight(kTokens * 4);
  const DeviceArray<int8_t> key(kCapacity * kIndexDim), query(kTokens * 4 * kIndexDim);
  quantize_index_rows({.projected = rows.data(),
                       .norm_weight = weight.data(),
                       .norm_bias = bias.data(),
                       .n = kTokens,
                       .first = kFirst,
                       .n_heads = kIndexHeads,
                       .dim = kIndexDim,
                       .ring = {.k = nullptr,
                                .v = nullptr,
                                .k_scale = nullptr,
                                .v_scale = nullptr,
                                .index_key = key.data(),
                                .index_scale = key_scale.data(),
                                .cos = nullptr,
                                .sin = nullptr,
                                .turns = nullptr,
                                .capacity = kCapacity},
                       .query = query.data(),
                       .weight = out_weight.data()},
                      nullptr);
  const auto got_key = key.host(), got_query = query.host();
  const auto got_scale = key_scale.host(), got_weight = out_weight.host();
  for (size_t t = 0; t < kTokens; ++t) {
    const float* row = projected.data() + t * kRow;
    for (size_t h = 0; h < kIndexHeads; ++h) {
      std::vector<int8_t> codes(kIndexDim);
      float scale = 0;
      kernels::quantize_rows_ref(row + h * kIndexDim, 1, kIndexDim, codes.data(), &scale,
                                 kernels::kMaxQueryCode);
      for (size_t c = 0; c < kIndexDim; ++c)
        ASSERT_EQ(got_query[(t * 4 + h) * kIndexDim + c], codes[c]);
      ASSERT_EQ(got_weight[t * 4 + h], row[(kIndexHeads + 1) * kIndexDim + h] * scale);
    }
    ASSERT_EQ(got_weight[t * 4 + 3], 0.0f) << "the padding";
    const float* x = row + kIndexHeads * kIndexDim;
    double mean = 0, variance = 0;
    for (size_t c = 0; c < kIndexDim; ++c) mean += x[c] / double{kIndexDim};
    for (size_t c = 0; c < kIndexDim; ++c) variance += (x[c] - mean) * (x[c] - mean) / kIndexDim;
    const size_t at = static_cast<size_t>((kFirst + static_cast<int64_t>(t)) % kCapacity);
    for (size_t c = 0; c < kIndexDim; ++c) {
      const double want =
          (x[c] - mean) / std::sqrt(variance + 1e-5) * norm_weight[c] + norm_bias[c];
      ASSERT_NEAR(got_key[at * kIndexDim + c] * got_scale[at], want, got_scale[at] * 0.51);
    }
  }
}

}  // namespace
}  // namespace dsrasq::cuda
