#include "dsrasq/memory/window_ring.h"

#include <algorithm>

namespace dsrasq::memory {
namespace {

using kernels::kTileTokens;

// A call may begin and end inside a tile, hence one more at each end.
int64_t tiles_for(int64_t window, int64_t block) {
  return (window + block + kTileTokens - 1) / kTileTokens + 2;
}

}  // namespace

WindowRing::WindowRing(int64_t n_kv_heads, int64_t head_dim, int64_t window, int64_t block)
    : n_kv_heads_(n_kv_heads),
      head_dim_(head_dim),
      n_tiles_(tiles_for(window, block)),
      keys_(n_kv_heads * n_tiles_ * kTileTokens * head_dim),
      values_(n_kv_heads * n_tiles_ * kTileTokens * head_dim) {}

size_t WindowRing::planned_bytes(int64_t n_kv_heads, int64_t head_dim, int64_t window,
                                 int64_t block) {
  return static_cast<size_t>(2 * n_kv_heads * tiles_for(window, block) * kTileTokens * head_dim) *
         sizeof(float);
}

kernels::KvTiles WindowRing::tiles() const {
  return {.k = keys_.data(),
          .v = values_.data(),
          .n_tiles = n_tiles_,
          .n_kv_heads = static_cast<int32_t>(n_kv_heads_),
          .head_dim = static_cast<int32_t>(head_dim_)};
}

void WindowRing::append(int64_t first, int64_t n_tokens, const float* k, const float* v) {
  kernels::store_kv_tiles(tiles(), k, v, first, n_tokens);
}

Sinks::Sinks(int64_t n_kv_heads, int64_t head_dim, int64_t n_sinks)
    : n_kv_heads_(n_kv_heads),
      head_dim_(head_dim),
      n_sinks_(n_sinks),
      keys_(n_kv_heads * n_sinks * head_dim),
      values_(n_kv_heads * n_sinks * head_dim) {}

void Sinks::append(int64_t first, int64_t n_tokens, const float* k, const float* v) {
  for (int64_t j = first; j < std::min(n_sinks_, first + n_tokens); ++j)
    for (int64_t g = 0; g < n_kv_heads_; ++g) {
      const int64_t row = ((j - first) * n_kv_heads_ + g) * head_dim_;
      const int64_t place = (g * n_sinks_ + j) * head_dim_;
      std::copy_n(k + row, head_dim_, keys_.data() + place);
      std::copy_n(v + row, head_dim_, values_.data() + place);
    }
}

}  // namespace dsrasq::memory
