#pragma once

// What the per-target code of the sparse attention works on. Private to sparse_attention.cpp and
// the headers that it includes.

#include <algorithm>
#include <cstdint>

#include "dsrasq/kernels/sparse_attention.h"

namespace dsrasq::kernels {

inline int64_t position_of(const SparseMemory& memory, int64_t slot) {
  return memory.page_first_position[slot / 16] + slot % 16;
}

/// Of the tokens selected for query i of a call, those at least d_max away. They come first, and
/// all are seen alike: by the query turned by d_max.
inline int64_t count_distant(const SparseAttentionParams& p, int64_t i) {
  if (p.n_selected == nullptr) return 0;
  const int32_t* slots = p.selected + i * p.k;
  const auto is_distant = [&](int32_t slot) {
    return p.pos0 + i - position_of(p.memory, slot) >= p.rope.d_max;
  };
  return std::partition_point(slots, slots + p.n_selected[i], is_distant) - slots;
}

/// Keys of the pool that some query of a call sees nearer than d_max, turned from their positions
/// to the base of the call's queries, so that a query has to be turned only from the base to its
/// own.
struct TurnedKeys {
  const float* rows;     ///< [Hkv, n_rows, D]
  const int32_t* index;  ///< [n, k], the rows of the selected tokens that are nearer
  int64_t n_rows;
};

/// How `TurnedKeys` are made.
struct KeyTurns {
  const SparseAttentionParams* params;
  const int32_t* slots;  ///< [n_rows], -1: none to turn
  int64_t n_rows;
  int64_t first;  ///< position of row 0
  int64_t base;
  float* rows;  ///< [Hkv, n_rows, D]
};

inline constexpr int64_t kTileRows = 24;  ///< query heads that share a pass over the window

/// A few neighbouring queries and one KV head: what one thread handles at a time.
struct SparseTile {
  const SparseAttentionParams* params;
  int64_t first, n_queries;  ///< query rows of the call
  int64_t kv_head;
  int64_t base;              ///< position to which near keys are turned
  const TurnedKeys* turned;  ///< null: keys are turned as they are met
  float* mass;               ///< [n, k] of this KV head, or null
};

}  // namespace dsrasq::kernels
