#pragma once

// Keys and values as the attention kernels read them: tiles of 16 tokens, keys transposed so that a
// vector holds one dimension of 16 tokens. Used for the window's ring and for a growing cache.

#include <cstdint>

namespace dsrasq::kernels {

inline constexpr int64_t kTileTokens = 16;

/// Token j lies in tile (j / 16) % n_tiles, lane j % 16. The memory is the caller's.
struct KvTiles {
  float* k;         ///< [n_kv_heads, n_tiles, head_dim, 16]
  float* v;         ///< [n_kv_heads, n_tiles * 16, head_dim]; may be null in `store_kv_tiles`
  int64_t n_tiles;  ///< tiles of one KV head
  int32_t n_kv_heads;
  int32_t head_dim;
};

/// Stores tokens pos0 .. pos0 + n - 1, over what their places held: `k` and `v` are
/// [n, n_kv_heads, head_dim]. n must not exceed 16 * n_tiles.
void store_kv_tiles(const KvTiles& tiles, const float* k, const float* v, int64_t pos0, int64_t n);

}  // namespace dsrasq::kernels
