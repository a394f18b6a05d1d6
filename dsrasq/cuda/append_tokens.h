#pragma once

// What attention does with a call's new tokens before it reads: RoPE, and int8 into the ring.

#include "dsrasq/cuda/token_ring.h"

namespace dsrasq::cuda {

/// Writes cos and sin of the positions first to first + n - 1 into their rows `[D / 2]` of a ring,
/// and where `turns` is not null both as fp16 into a row `[D]` of it. Angles are computed in
/// double. `inv_freq` [half] is on the device.
void fill_angles(const double* inv_freq, int32_t half, int64_t first, int64_t n, int64_t capacity,
                 float* cos, float* sin, uint16_t* turns, Stream stream);

/// T tokens at positions first, ...: H query heads, Hkv KV heads, D a multiple of 64 up to 256.
struct AppendTokens {
  const Bf16* q;  ///< [T, H, D] before RoPE, tokens `q_stride` values apart
  const Bf16* k;  ///< [T, Hkv, D]
  const Bf16* v;  ///< [T, Hkv, D]
  int64_t q_stride, k_stride, v_stride;
  int64_t n, first;
  int32_t n_heads, n_kv_heads, head_dim;
  TokenRing ring;        ///< its k null: nothing is kept there, but cos and sin are read
  const float* cos_far;  ///< [D / 2], of d_max; null: no far queries
  const float* sin_far;
  Bf16* q_rotated;  ///< [T, H, D]
  Bf16* q_far;      ///< [T, H, D]; null with cos_far
  Bf16* k_rotated;  ///< [T, Hkv, D]
  Bf16* v_copy;     ///< [T, Hkv, D]
};

void append_tokens(const AppendTokens& tokens, Stream stream);

}  // namespace dsrasq::cuda
