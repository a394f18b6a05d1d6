#pragma once

// Causal attention over a cache that grows with the text: the `full` policy, and layers with a
// sliding window. A query's output has the same bits for any number of queries in the call, any
// number of threads, and any capacity of the cache.

#include <cstdint>

#include "dsrasq/kernels/kv_tiles.h"

namespace dsrasq::kernels {

/// One call: queries at positions pos0 .. pos0 + n - 1 over the tokens 0 .. pos0 + n - 1.
///
/// Dims: H query heads, Hkv KV heads (H % Hkv == 0; head h reads KV head h / (H / Hkv)), D head
/// size, a multiple of 16 up to 256. Keys and queries are after RoPE.
struct DenseAttentionParams {
  KvTiles cache;   ///< n_tiles * 16 >= pos0 + n, or the last `window` + n tokens as a ring
  const float* q;  ///< [n, H, D]
  float* out;      ///< [n, H, D]
  int64_t n, pos0;
  int32_t H;
  float scale;         ///< multiplies q . k, usually 1 / sqrt(D)
  int64_t window = 0;  ///< query i sees tokens j > i - window; 0: all
  float softcap = 0;   ///< s -> softcap * tanh(s / softcap) before the softmax; 0: none
};

void dense_attention(const DenseAttentionParams& params);

/// Plain loops in double: the oracle.
void dense_attention_ref(const DenseAttentionParams& params);

}  // namespace dsrasq::kernels
