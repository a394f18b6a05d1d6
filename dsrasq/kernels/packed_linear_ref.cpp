#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "dsrasq/kernels/packed_linear.h"

namespace dsrasq::kernels {
namespace {

float half_at(const uint8_t* p) {
  const int bits = p[0] | p[1] << 8;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float value;
  if (exponent == 31)
    value = fraction ? NAN : INFINITY;
  else
    value = exponent ? std::ldexp(1024.f + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -value : value;
}

int nibble(const uint8_t* q, int j) { return j < 16 ? q[j] & 15 : q[j - 16] >> 4; }

int five_bits(const uint8_t* high, const uint8_t* q, int j) {
  return nibble(q, j) | (high[j / 8] >> (j % 8) & 1) << 4;
}

// Sub-block scale and minimum of Q4_K and Q5_K, 6 bits each in 12 bytes.
void scale_and_min(const uint8_t* s, int j, int& scale, int& minimum) {
  scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
  minimum = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

float k_quant_at(const uint8_t* b, int j, bool five) {
  int scale, minimum;
  scale_and_min(b + 4, j / 32, scale, minimum);
  const uint8_t* q = b + (five ? 48 : 16) + j / 64 * 32;
  int code = j % 64 < 32 ? q[j % 32] & 15 : q[j % 32] >> 4;
  if (five) code += 16 * (b[16 + j % 32] >> (j / 32) & 1);
  return half_at(b) * scale * code - half_at(b + 2) * minimum;
}

float q6_k_at(const uint8_t* b, int j) {
  const int half = j / 128, part = j % 128 / 32, l = j % 32;
  const int low = b[half * 64 + part % 2 * 32 + l] >> (part / 2 * 4) & 15;
  const int high = b[128 + half * 32 + l] >> (part * 2) & 3;
  const auto scale = static_cast<int8_t>(b[192 + half * 8 + part * 2 + l / 16]);
  return half_at(b + 208) * scale * ((low | high << 4) - 32);
}

float plain_at(WeightType type, const uint8_t* b) {
  if (type == WeightType::kF16) return half_at(b);
  if (type == WeightType::kBF16) return std::bit_cast<float>((b[0] | b[1] << 8) << 16);
  float value;
  std::memcpy(&value, b, sizeof value);
  return value;
}

// Weight j of a block.
float value_at(WeightType type, const uint8_t* b, int j) {
  switch (type) {
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16: return plain_at(type, b);
    case WeightType::kQ4_0: return (nibble(b + 2, j) - 8) * half_at(b);
    case WeightType::kQ4_1: return nibble(b + 4, j) * half_at(b) + half_at(b + 2);
    case WeightType::kQ5_0: return (five_bits(b + 2, b + 6, j) - 16) * half_at(b);
    case WeightType::kQ5_1: return five_bits(b + 4, b + 8, j) * half_at(b) + half_at(b + 2);
    case WeightType::kQ8_0: return static_cast<int8_t>(b[2 + j]) * half_at(b);
    case WeightType::kQ4_K: return k_quant_at(b, j, false);
    case WeightType::kQ5_K: return k_quant_at(b, j, true);
    case WeightType::kQ6_K: return q6_k_at(b, j);
  }
  return NAN;
}

}  // namespace

void dequantize_row_ref(WeightType type, const std::byte* row, int64_t cols, float* out) {
  const auto [weights, bytes] = weight_block(type);
  const auto* data = reinterpret_cast<const uint8_t*>(row);
  for (int64_t k = 0; k < cols; ++k)
    out[k] = value_at(type, data + k / weights * bytes, static_cast<int>(k % weights));
}

void linear_ref(std::span<const WeightSource> parts, const float* x, int64_t m, int64_t x_stride,
                float* y, int64_t y_stride, const float* bias) {
  int64_t column = 0;
  for (const WeightSource& part : parts) {
    std::vector<float> row(part.cols);
    const int64_t row_bytes = weight_row_bytes(part.type, part.cols);
    for (int64_t r = 0; r < part.rows; ++r, ++column) {
      const int64_t stored = part.row_map ? part.row_map[r] : r;
      dequantize_row_ref(part.type, part.data + stored * row_bytes, part.cols, row.data());
      for (int64_t t = 0; t < m; ++t) {
        double sum = bias ? bias[column] : 0;
        for (int64_t k = 0; k < part.cols; ++k)
          sum += static_cast<double>(x[t * x_stride + k]) * row[k];
        y[t * y_stride + column] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace dsrasq::kernels
