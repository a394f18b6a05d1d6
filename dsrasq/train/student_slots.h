#pragma once

// The compressive cache (design 3.2) with gradients, for all blocks of a stretch at
// once. The same rules as memory/slot_cache.h.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "dsrasq/memory/slot_cache.h"

namespace dsrasq::train {

/// A layer's slots as tensors, in the roles of memory::SlotParameters.
struct SlotTensors {
  memory::SlotMode mode = memory::SlotMode::kContent;
  double fixed_beta = 0;      ///< of every slot; 0: learned
  at::Tensor u_k, u_v;        ///< `[d, r]`, of kPosition `[m, r]`
  at::Tensor beta_logit;      ///< `[r]`; undefined unless `learns_beta`
  at::Tensor read_k, read_v;  ///< `[Hkv, d, D]`
  at::Tensor gate;            ///< `[H]`

  template <class Visit>
  void visit(Visit&& visit) {
    visit("u_k", u_k), visit("u_v", u_v), visit("read_k", read_k), visit("read_v", read_v);
    if (learns_beta()) visit("beta_logit", beta_logit);
    visit("gate", gate);
  }
  bool learns_beta() const { return mode != memory::SlotMode::kRotate && fixed_beta == 0; }

  struct Size {
    int64_t n_slots = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
    int64_t block = 0;  ///< m
  };
  struct Kind {
    memory::SlotMode mode = memory::SlotMode::kContent;
    double fixed_beta = 0;  ///< not of kRotate
  };
  /// Silent (gates of 0) with beta from 0.9 to 0.999 unless it is fixed, and read-outs that are the
  /// identity.
  static SlotTensors fresh(const Size& size, const Kind& kind, uint64_t seed);
  /// With a `fixed_beta` instead of the parameters' own, unless it is 0.
  static SlotTensors from(const memory::SlotParameters& parameters, double fixed_beta);
  memory::SlotParameters to_parameters() const;
};

struct SlotRules {
  int64_t window = 512;
  int64_t sinks = 4;
  int64_t block = 512;
  int64_t horizon = 0;  ///< tokens before a query's block that get gradients from it; 0: all
  int64_t pool = 0;     ///< tokens; 0: it holds all, and the slots are silent

  /// Rows of block b read what blocks 0 to b - lag - 1 left behind.
  int64_t lag() const { return (window + block - 1) / block; }
  /// Of those that rows within `n_tokens` read; 0 or less: none.
  int64_t n_states(int64_t n_tokens) const { return (n_tokens + block - 1) / block - lag() - 1; }
};

/// What T queries read from the slots, `[T, H, D]`: `q` `[T, H, D]` and `k` `[T, Hkv, D]` before
/// RoPE. Undefined when nothing leaves the pool within T tokens.
at::Tensor read_slots(const SlotTensors& slots, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v, double scale, const SlotRules& rules);

}  // namespace dsrasq::train
