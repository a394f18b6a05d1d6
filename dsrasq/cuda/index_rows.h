#pragma once

// From a layer's projected input to int8 index queries, and index keys in the ring (design 4).

#include "dsrasq/cuda/token_ring.h"

namespace dsrasq::cuda {

/// T tokens. `projected` rows hold the query heads, the key, the head weights and the local mass,
/// as retriever::Indexer projects them: n_h * d_i + d_i + n_h + 1 values.
struct IndexRows {
  const float* projected;    ///< [T, row]
  const float* norm_weight;  ///< [d_i]
  const float* norm_bias;    ///< [d_i]
  int64_t n, first;
  int32_t n_heads, dim;  ///< d_i 32 or 64
  TokenRing ring;
  int8_t* query;  ///< [T, padded heads, d_i], the padding 0
  float* weight;  ///< [T, padded heads], the head's weight times the query's scale
};

/// Heads that a scan is made for: the padding has no weight.
constexpr int32_t padded_heads(int32_t n_heads) { return n_heads <= 4 ? 4 : 8; }

void quantize_index_rows(const IndexRows& rows, Stream stream);

/// kernels::quantize_rows on the device, of rows of 32 or 64 values.
void quantize_rows(const float* x, int64_t n_rows, int32_t dim, int32_t max_code, int8_t* codes,
                   float* scale, Stream stream);

}  // namespace dsrasq::cuda
