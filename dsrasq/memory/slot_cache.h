#pragma once

// The rotating compressive cache of one layer (design 3.2): everything that ever left the window,
// in r latent slots of fixed size.

#include <cstdint>
#include <vector>

#include "dsrasq/core/buffer.h"

namespace dsrasq::memory {

/// The trained parameters of a layer's slots. `d` is Hkv * D.
struct SlotParameters {
  int64_t n_slots = 0;                ///< r
  int64_t n_kv_heads = 0;             ///< Hkv
  std::vector<float> u_k, u_v;        ///< `[d, r]`: which tokens of a block a slot takes
  std::vector<float> beta;            ///< `[r]`, in (0, 1): how much a slot keeps at each block
  std::vector<float> read_k, read_v;  ///< `[Hkv, d, D]`: a slot as a key and a value of a head
  std::vector<float> gate;            ///< `[H]`; all zero: the slots are silent
};

/// C_t = beta C_{t-1} + (1 - beta)(A_K^T K_t + A_V^T V_t), read as C_t / (1 - beta^t) through a
/// softmax of its own behind a gate.
class SlotCache {
 public:
  SlotCache() = default;
  /// `parameters` must outlive the cache and fit the sizes.
  SlotCache(const SlotParameters& parameters, int64_t n_heads, int64_t n_kv_heads,
            int64_t head_dim);

  /// Takes in a block that left the window: keys before RoPE and values `[n, d]`. n may be less
  /// than a block where tokens are gone or were sinks; 0 only ages the slots.
  void fold(int64_t n_tokens, const float* k, const float* v);
  /// Adds what the slots give to `out` `[n, H, D]`, for queries before RoPE `[n, H, D]`.
  void read(int64_t n, const float* q, float scale, float* out) const;

  int64_t n_folds() const { return n_folds_[0]; }
  size_t bytes() const {
    return slots_.bytes() + keys_.bytes() + values_.bytes() + n_folds_.bytes();
  }

  template <class Visit>
  void visit(Visit&& visit) const {
    visit("slots", slots_.raw()), visit("slot_folds", n_folds_.raw());
    visit("slot_keys", keys_.raw()), visit("slot_values", values_.raw());
  }

 private:
  void update_read_outs();

  const SlotParameters* parameters_ = nullptr;
  int64_t n_heads_ = 0, n_kv_heads_ = 0, head_dim_ = 0;
  Buffer<float> slots_;   // C [r, d]
  Buffer<float> keys_;    // packed for kernels::read_slots
  Buffer<float> values_;  // [Hkv, r, D]
  Buffer<int64_t> n_folds_;
};

}  // namespace dsrasq::memory
