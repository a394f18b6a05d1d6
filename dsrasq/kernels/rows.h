#pragma once

// What a transformer does to single rows between its matrix products. Raw pointers, fp32.
//
// Batch invariance: within one instruction set, the bits of an output row depend on its input row
// alone, not on the number of rows or threads. Outputs may be the inputs (in place), row for row.
// Strides are in floats between rows. Runs on the threads of `parallel_for` when there are rows
// enough to pay for it.

#include <cstdint>

namespace dsrasq::kernels {

/// Rows of `groups` neighbouring vectors of `width` floats, e.g. the heads inside [q, k, v].
struct RowShape {
  int64_t rows, groups, width;
  int64_t x_stride, y_stride;
};

/// y = x / sqrt(mean(x^2) + eps) * (weight + weight_offset), each vector by itself.
struct RmsNormParams {
  RowShape shape;
  const float* x;       ///< [rows, groups, width]
  const float* weight;  ///< [width]
  float* y;             ///< [rows, groups, width]
  float eps;
  float weight_offset = 0;  ///< 1 where the file stores weight - 1
};
void rms_norm(const RmsNormParams& p);
void rms_norm_ref(const RmsNormParams& p);

/// y = (x - mean) / sqrt(variance + eps) * weight + bias, each vector by itself.
struct LayerNormParams {
  RowShape shape;
  const float* x;       ///< [rows, groups, width]
  const float* weight;  ///< [width]
  const float* bias;    ///< [width]
  float* y;             ///< [rows, groups, width]
  float eps;
};
void layer_norm(const LayerNormParams& p);
void layer_norm_ref(const LayerNormParams& p);

/// y = act(gate) * up for x = [gate, up] in each row: the gated feed-forward.
struct GatedParams {
  int64_t rows, width;
  const float* x;  ///< [rows, 2 * width], gate first
  int64_t x_stride;
  float* y;  ///< [rows, width]
  int64_t y_stride;
};
/// act(v) = v / (1 + e^-v)
void silu_mul(const GatedParams& p);
void silu_mul_ref(const GatedParams& p);
/// act(v) = v / 2 * (1 + tanh(sqrt(2 / pi) * (v + 0.044715 v^3)))
void gelu_tanh_mul(const GatedParams& p);
void gelu_tanh_mul_ref(const GatedParams& p);

/// Rotary position embedding as in HF Llama: the first half of a head is the real part.
/// y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin.
struct RopeParams {
  RowShape shape;    ///< groups = heads; width = head size, even
  const float* x;    ///< [rows, heads, head size]
  const float* cos;  ///< [rows, head size / 2]
  const float* sin;  ///< [rows, head size / 2]
  float* y;          ///< [rows, heads, head size]
};
void rope_half_split(const RopeParams& p);
void rope_half_split_ref(const RopeParams& p);

/// x += y, n floats.
void add(float* x, const float* y, int64_t n);
/// x *= factor, n floats.
void scale(float* x, float factor, int64_t n);
/// x = cap * tanh(x / cap), n floats; cap > 0.
void softcap(float* x, float cap, int64_t n);

/// The instruction set these run, e.g. "AVX3".
const char* rows_target();

}  // namespace dsrasq::kernels
