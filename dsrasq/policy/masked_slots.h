#pragma once

// The compressive cache of one layer (design 3.2) by plain tensor operations on any device. The
// same rules as memory::SlotCache, for the policy that evaluates on a GPU.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "dsrasq/memory/slot_cache.h"

namespace dsrasq::policy {

class MaskedSlots {
 public:
  MaskedSlots(const memory::SlotParameters& parameters, at::Device device);

  /// Takes in a block that left the window: keys before RoPE and values `[n, Hkv, D]` of its tokens
  /// from the one at `place` on, n > 0.
  void fold(int64_t place, const at::Tensor& k, const at::Tensor& v);
  /// `share` (memory::lost_share) of what the slots give to queries before RoPE `[T, H, D]`, in
  /// their type; undefined before the first fold and where the share is 0.
  at::Tensor read(const at::Tensor& q, double scale, double share) const;

  int64_t n_folds() const { return n_folds_; }
  size_t bytes() const;

 private:
  at::Tensor summary(const at::Tensor& x, const at::Tensor& u, int64_t place) const;

  memory::SlotMode mode_;
  at::Tensor u_k_, u_v_;        // [d, r], or [m, r] (memory::SlotParameters)
  at::Tensor beta_;             // [r, 1], undefined where nothing decays
  at::Tensor read_k_, read_v_;  // [Hkv, d, D]
  at::Tensor gate_;             // [H, 1, 1], after tanh
  at::Tensor slots_;            // C [r, d]
  int64_t n_folds_ = 0;
};

}  // namespace dsrasq::policy
