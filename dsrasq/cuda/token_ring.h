#pragma once

// The exact tiers of one layer on a GPU, as raw device memory, and which of their tokens a query
// sees: the token at position p lies in row p % capacity of every array (design 3).

#include <cstdint>

// The CUDA runtime's cudaStream_t.
struct CUstream_st;

namespace dsrasq::cuda {

using Stream = CUstream_st*;
using Bf16 = uint16_t;  ///< the bits of a bfloat16

inline constexpr int64_t kRingStep = 256;  ///< capacities are multiples of it
inline constexpr int64_t kPageTokens = 16;

/// Int8 codes with one fp32 scale for each token and KV head, as kernels::quantize_rows makes them;
/// keys before RoPE.
struct TokenRing {
  int8_t* k;              ///< [capacity, Hkv, D]
  int8_t* v;              ///< [capacity, Hkv, D]
  float* k_scale;         ///< [capacity, Hkv]
  float* v_scale;         ///< [capacity, Hkv]
  int8_t* index_key;      ///< [capacity, d_i]; null: none
  float* index_scale;     ///< [capacity]
  const float* cos;       ///< [capacity, D / 2], of the angle at each token's position
  const float* sin;       ///< [capacity, D / 2]
  const uint16_t* turns;  ///< [capacity, D] the same as fp16: cos, then sin; null: no reading
  int64_t capacity;
};

/// The pool's rule (design 3): a query at position i may retrieve the positions first(i) to
/// i - window. Pages leave at multiples of `block`, so that what is seen depends on the position
/// alone.
struct PoolRule {
  int64_t window, pool, block, sinks;
  int64_t page = kPageTokens;

  /// Rows that a ring needs for calls of up to `n` tokens.
  constexpr int64_t capacity_for(int64_t n) const {
    const int64_t rows = window + pool + block + n + kRingStep;
    return (rows + kRingStep - 1) / kRingStep * kRingStep;
  }
  constexpr int64_t first(int64_t position) const {
    const int64_t gone = position / block * block - window - pool - sinks;
    return sinks + (gone > 0 ? (gone + page - 1) / page * page : 0);
  }
  constexpr int64_t end(int64_t position) const { return position - window + 1; }
};

}  // namespace dsrasq::cuda
