#pragma once

// The exact near tiers of one layer: the first tokens (sinks) and a ring of the last ones (design
// 3).

#include <cstdint>

#include "dsrasq/core/buffer.h"
#include "dsrasq/kernels/kv_tiles.h"

namespace dsrasq::memory {

/// The last W + m tokens, rotated keys and values, as the attention kernels read them.
class WindowRing {
 public:
  WindowRing() = default;
  /// Room for queries that see `window` tokens, in calls of at most `block` tokens.
  WindowRing(int64_t n_kv_heads, int64_t head_dim, int64_t window, int64_t block);

  /// Stores T tokens at positions first, first + 1, ...: rotated keys and values, `[T, Hkv, D]`.
  void append(int64_t first, int64_t n_tokens, const float* k, const float* v);

  kernels::KvTiles tiles() const;
  size_t bytes() const { return keys_.bytes() + values_.bytes(); }
  static size_t planned_bytes(int64_t n_kv_heads, int64_t head_dim, int64_t window, int64_t block);

  /// Every buffer with its name, for session files.
  template <class Visit>
  void visit(Visit&& visit) const {
    visit("ring_keys", keys_.raw()), visit("ring_values", values_.raw());
  }

 private:
  int64_t n_kv_heads_ = 0, head_dim_ = 0, n_tiles_ = 0;
  Buffer<float> keys_, values_;
};

/// The first tokens, exact, keys before RoPE.
class Sinks {
 public:
  Sinks() = default;
  Sinks(int64_t n_kv_heads, int64_t head_dim, int64_t n_sinks);

  /// Keeps those of the T tokens `[T, Hkv, D]` that are among the first.
  void append(int64_t first, int64_t n_tokens, const float* k, const float* v);

  const float* keys() const { return keys_.data(); }      ///< `[Hkv, n_sinks, D]`
  const float* values() const { return values_.data(); }  ///< `[Hkv, n_sinks, D]`
  size_t bytes() const { return keys_.bytes() + values_.bytes(); }

  template <class Visit>
  void visit(Visit&& visit) const {
    visit("sink_keys", keys_.raw()), visit("sink_values", values_.raw());
  }

 private:
  int64_t n_kv_heads_ = 0, head_dim_ = 0, n_sinks_ = 0;
  Buffer<float> keys_, values_;
};

}  // namespace dsrasq::memory
