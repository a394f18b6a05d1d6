#pragma once

// The rotating compressive cache of one layer (design 3.2): everything that ever left the window,
// in r latent slots of fixed size.

#include <cstdint>
#include <span>
#include <vector>

#include "dsrasq/core/buffer.h"
#include "dsrasq/memory/slot_mode.h"

namespace dsrasq::memory {

/// From this to 1 less it: a slot that forgets nothing, or everything, is one that fp32 rounded.
inline constexpr double kLeastBeta = 1e-6;

/// The trained parameters of a layer's slots. `d` is Hkv * D.
struct SlotParameters {
  SlotMode mode = SlotMode::kContent;
  int64_t n_slots = 0;     ///< r
  int64_t n_kv_heads = 0;  ///< Hkv
  int64_t head_dim = 0;    ///< D
  /// Which tokens of a block a slot takes, `[d, r]`. Of kPosition the logits of A_K and A_V,
  /// `[m, r]`.
  std::vector<float> u_k, u_v;
  std::vector<float> beta;  ///< `[r]`, in (0, 1): what a slot keeps at each block; none of kRotate
  std::vector<float> read_k, read_v;  ///< `[Hkv, d, D]`: a slot as a key and a value of a head
  std::vector<float> gate;            ///< `[H]`; all zero: the slots are silent

  int64_t width() const { return n_kv_heads * head_dim; }  ///< d
  /// m, the tokens of the blocks that it is for; 0: of any.
  int64_t block() const {
    return mode == SlotMode::kPosition ? static_cast<int64_t>(u_k.size()) / n_slots : 0;
  }
};

/// C_t = beta C_{t-1} + (1 - beta)(A_K^T K_t + A_V^T V_t), read as C_t / (1 - beta^t) through a
/// softmax of its own behind a gate. Of kRotate slot (t - 1) mod r becomes the t-th block's
/// A_K^T K_t + A_V^T V_t, and slots that no block has filled are not read.
class SlotCache {
 public:
  SlotCache() = default;
  /// `parameters` must outlive the cache and fit the sizes.
  SlotCache(const SlotParameters& parameters, int64_t n_heads, int64_t n_kv_heads,
            int64_t head_dim);

  /// Takes in a block that left the window: keys before RoPE and values `[n, d]` of the tokens at
  /// these places in the block. n may be less than m where tokens are gone or were sinks; of 0
  /// tokens the block is zeros.
  void fold(std::span<const int64_t> places, const float* k, const float* v);
  /// Adds `share` (`lost_share`) of what the slots give to `out` `[n, H, D]`, for queries before
  /// RoPE `[n, H, D]`.
  void read(int64_t n, const float* q, float scale, float share, float* out) const;

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
  float correction(int64_t slot) const;
  void update_read_outs();

  const SlotParameters* parameters_ = nullptr;
  int64_t n_heads_ = 0, n_kv_heads_ = 0, head_dim_ = 0;
  Buffer<float> slots_;   // C [r, d]
  Buffer<float> keys_;    // packed for kernels::read_slots
  Buffer<float> values_;  // [Hkv, r, D]
  Buffer<int64_t> n_folds_;
};

}  // namespace dsrasq::memory
