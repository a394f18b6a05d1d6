#pragma once

// The compressive cache of one layer (design 3.2) for long calls on a GPU: all blocks that leave
// the window within a call are taken in at once, and all its queries read at once. The same rules
// as MaskedSlots and memory::SlotCache.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <utility>

#include "dsrasq/memory/lost_share.h"
#include "dsrasq/memory/slot_cache.h"
#include "dsrasq/policy/slot_blocks.h"

namespace dsrasq::policy {

class CallSlots {
 public:
  /// Keys before RoPE and values `[n, Hkv, D]` fp32 of the tokens at positions first, ...
  using Stored = std::function<std::pair<at::Tensor, at::Tensor>(int64_t first, int64_t n)>;

  /// `scale` is that of the layer's logits.
  CallSlots(const memory::SlotParameters& parameters, const memory::LeavingRule& rule, double scale,
            at::Device device);

  /// Adds to `out` `[T, H, D]` what the slots give to queries before RoPE `[T, H, D]` at positions
  /// first, ..., as loud as memory::lost_share says. Calls follow each other from position 0 on.
  void add(const at::Tensor& q, int64_t first, const Stored& stored, const at::Tensor& out);

  size_t bytes() const { return state_.nbytes() * 3; }  ///< with its keys and values

 private:
  // The blocks of a call that read something, each a state of its own: positions from block * m on.
  struct Heard {
    int64_t block = 0, n_states = 0;
  };
  int64_t folds_at(int64_t block) const;
  Heard heard(int64_t first, int64_t n) const;
  at::Tensor take_blocks(int64_t n_folds, const Stored& stored);
  at::Tensor shares(const Heard& heard) const;
  at::Tensor read_blocks(const at::Tensor& q, int64_t front, const Heard& heard,
                         const at::Tensor& states) const;
  at::Tensor read_last(const at::Tensor& q, int64_t block);

  memory::LeavingRule rule_;
  double scale_;
  SlotWeights weights_;
  at::Tensor gate_;   // [H, 1], after tanh
  at::Tensor state_;  // [r, d], as it is read
  // Of the state, and [H, 1] how loud it is: made when it is read alone, for all of its block.
  SlotHeads last_;
  at::Tensor last_gate_;
  int64_t n_folds_ = 0;
};

}  // namespace dsrasq::policy
