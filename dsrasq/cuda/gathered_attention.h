#pragma once

// Attention over the tokens that were picked from the ring and the sinks that left the window,
// joined with what a dense kernel read of the window: one softmax over all of them (design 3).

#include "dsrasq/cuda/token_ring.h"

namespace dsrasq::cuda {

/// T queries at positions first, ...: H heads, Hkv KV heads, D 64, 128 or 256.
struct GatheredAttention {
  const Bf16* q;      ///< [T, H, D] rotated at the queries' positions
  const Bf16* q_far;  ///< [T, H, D] rotated at d_max
  TokenRing ring;
  const int32_t* selected;    ///< [T, k], rows of the ring; null: none
  const int32_t* n_selected;  ///< [T]
  int32_t k;
  const Bf16* sink_k;          ///< [n_sinks, Hkv, D] before RoPE
  const Bf16* sink_k_rotated;  ///< [n_sinks, Hkv, D]
  const Bf16* sink_v;          ///< [n_sinks, Hkv, D]
  int32_t n_sinks;             ///< those that a query's window holds are the window's
  const Bf16* window_out;      ///< [T, H, D], what the window alone gives
  const float* window_mass;    ///< [H, T], log of the sum of exp of its scaled logits
  int64_t n, first, window, d_max;
  int32_t n_heads, n_kv_heads, head_dim;
  float scale;
  Bf16* out;  ///< [T, H, D]; may be window_out
};

void gathered_attention(const GatheredAttention& attention, Stream stream);

}  // namespace dsrasq::cuda
