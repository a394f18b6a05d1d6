#pragma once

// The compressive cache (design 3.2) for many blocks at once, by tensor operations on any device
// and with gradients. The same rules as memory/slot_cache.h.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "dsrasq/memory/slot_mode.h"

namespace dsrasq::policy {

/// A layer's slots as tensors, in the roles of memory::SlotParameters.
struct SlotWeights {
  memory::SlotMode mode = memory::SlotMode::kContent;
  at::Tensor u_k, u_v;        ///< `[d, r]`, of kPosition `[m, r]`
  at::Tensor beta;            ///< `[r]`, or `[1]` for all slots; not of kRotate
  at::Tensor read_k, read_v;  ///< `[Hkv, d, D]`
};

/// What B blocks bring, the first of them the layer's block `first`: `[B, r, d]`, of kRotate
/// `[B, 1, d]` for the slot whose turn it is. `k` before RoPE and `v` are `[B, m, d]`; tokens at
/// positions below `sinks` take no part.
at::Tensor block_summaries(const SlotWeights& slots, const at::Tensor& k, const at::Tensor& v,
                           int64_t first, int64_t sinks);

/// What is read after each of B blocks, C_t / (1 - beta^t), as a sum.
struct StateShares {
  at::Tensor blocks;  ///< `[r, B, B]`, state by block: of what a block brings
  at::Tensor before;  ///< `[r, B, 1]`: of what was read before the first of them
};
/// `first` blocks have been taken in before.
StateShares state_shares(const SlotWeights& slots, int64_t n_blocks, int64_t first);

/// States `[S, r, d]` as keys, times `scale`, and values of each head: `[S, Hkv, r, D]`.
struct SlotHeads {
  at::Tensor keys, values;
};
SlotHeads slot_heads(const SlotWeights& slots, const at::Tensor& states, double scale);

/// What n queries before RoPE read of each state, no gate applied: `[S, n, H, D]`, as `q` is. The
/// first state is that after `n_folds` blocks, then one more each.
at::Tensor read_states(const SlotWeights& slots, const SlotHeads& heads, const at::Tensor& q,
                       int64_t n_folds);

}  // namespace dsrasq::policy
