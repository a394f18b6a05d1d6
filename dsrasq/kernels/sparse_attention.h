#pragma once

// Attention over a fixed-size memory (design 3): for each query one softmax over the sinks, the
// window and the pool tokens that the retriever selected for it. A query's output has the same bits
// for any number of queries in the call and any number of threads.

#include <cstdint>

#include "dsrasq/kernels/kv_tiles.h"

namespace dsrasq::kernels {

/// cos and sin of m * inv_freq, the angle by which RoPE turns a pair at distance m.
struct RopeTable {
  const float* cos;  ///< [d_max + 1, D / 2]
  const float* sin;  ///< [d_max + 1, D / 2]
  int32_t d_max;     ///< longest distance that RoPE sees (design 3.1)
};

/// Fills `cos` and `sin` [d_max + 1, half] for `inv_freq` [half], computed in double.
void fill_rope_table(const double* inv_freq, int32_t half, int32_t d_max, float* cos, float* sin);

/// The exact tiers of one layer's memory. Position j of the window lies in the ring's tile
/// (j / 16) % n_tiles. The ring must hold tokens pos0 - window + 1 to pos0 + n - 1, that is
/// n_tiles * 16 >= window + n + 30 is always enough. Keys of sinks and pool are before RoPE.
struct SparseMemory {
  KvTiles ring;                        ///< keys after RoPE at their positions
  const float* sink_k;                 ///< [Hkv, n_sink, D], tokens 0 to n_sink - 1
  const float* sink_v;                 ///< [Hkv, n_sink, D]
  int64_t n_sink;                      ///< those of them that lie at or before a query are seen
  const int8_t* pool_k;                ///< [Hkv, n_slots, D]
  const int8_t* pool_v;                ///< [Hkv, n_slots, D]
  const float* pool_k_scale;           ///< [Hkv, n_slots]
  const float* pool_v_scale;           ///< [Hkv, n_slots]
  const int64_t* page_first_position;  ///< [n_slots / 16], as in `IndexPool`
  int64_t n_slots;
};

/// One call: queries at positions pos0 .. pos0 + n - 1.
///
/// Dims: H query heads, Hkv KV heads (H % Hkv == 0; head h reads KV head h / (H / Hkv)), D head
/// size, a multiple of 16 up to 256. Query i sees window tokens max(n_sink, i - window + 1) .. i.
/// A sink or pool token at distance m is scored as (R(min(m, d_max)) q_raw) . k, where R turns the
/// pair (x, x + D / 2) by the table's angles.
struct SparseAttentionParams {
  SparseMemory memory;
  RopeTable rope;
  const float* q;      ///< [n, H, D] after RoPE, for the window
  const float* q_raw;  ///< [n, H, D] before RoPE
  float* out;          ///< [n, H, D]
  int64_t n, pos0;
  int32_t H;
  int64_t window;
  float scale;        ///< multiplies q . k, usually 1 / sqrt(D)
  float softcap = 0;  ///< s -> softcap * tanh(s / softcap) before the softmax; 0: none
  int32_t k = 0;      ///< row length of `selected`
  const int32_t* selected = nullptr;    ///< [n, k], pool slots by ascending position
  const int32_t* n_selected = nullptr;  ///< [n]
  /// Where not null: weights of the selected tokens, summed over the heads; 0 beyond n_selected.
  float* retrieved_mass = nullptr;  ///< [n, k]
  float* pool_mass = nullptr;       ///< [n], their sum
};

void sparse_attention(const SparseAttentionParams& params);

/// Plain loops in double: the oracle.
void sparse_attention_ref(const SparseAttentionParams& params);

}  // namespace dsrasq::kernels
