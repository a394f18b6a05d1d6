#pragma once

// The retriever's scan on a GPU: the same scores and the same sets, bit for bit, as
// kernels::select_top_k (design 4).

#include "dsrasq/cuda/token_ring.h"

namespace dsrasq::cuda {

/// The largest k: 1,024 on Hopper, fewer where a block has less shared memory.
int32_t most_selected();

/// T queries at positions first, ...; the token at each sees what `rule` says of the ring.
struct IndexScan {
  const int8_t* query;     ///< [T, padded heads, d_i]
  const float* weight;     ///< [T, padded heads]
  int32_t padded_heads;    ///< 4 or 8
  int32_t dim;             ///< d_i, 32 or 64
  const int8_t* key;       ///< [capacity, d_i], a ring
  const float* key_scale;  ///< [capacity]
  int64_t capacity;
  PoolRule rule;
  int64_t n, first;
  int32_t k;            ///< at most most_selected()
  bool best_first;      ///< by descending score, else by ascending position
  int32_t* selected;    ///< [T, k], rows of the ring, then -1
  int32_t* n_selected;  ///< [T]
  float* scores;        ///< [T, k], z of the selected, then -infinity; may be null
  float* log_mass;      ///< [T], log of the sum of exp z over all visible tokens; may be null
  void* scratch;        ///< of scan_scratch_bytes, aligned to 16; null: none
};

/// Room that lets many blocks share the keys where queries are too few for one block each; else 0.
int64_t scan_scratch_bytes(const IndexScan& scan);

/// Of equal scores the lower position wins; a score that is not a number is never selected.
/// O(T * pool) operations, O(k) memory a query: the scores are never written.
void select_top_k(const IndexScan& scan, Stream stream);

}  // namespace dsrasq::cuda
