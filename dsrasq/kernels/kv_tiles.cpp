#include "dsrasq/kernels/kv_tiles.h"

#include <algorithm>

#include "dsrasq/core/parallel.h"

namespace dsrasq::kernels {

void store_kv_tiles(const KvTiles& tiles, const float* k, const float* v, int64_t pos0, int64_t n) {
  const int64_t D = tiles.head_dim, heads = tiles.n_kv_heads;
  parallel_for(n * heads, 64, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t head = item / n, i = item % n, position = pos0 + i;
      const int64_t tile = head * tiles.n_tiles + (position / kTileTokens) % tiles.n_tiles;
      const int64_t lane = position % kTileTokens, from = (i * heads + head) * D;
      float* column = tiles.k + tile * D * kTileTokens + lane;
      for (int64_t c = 0; c < D; ++c) column[c * kTileTokens] = k[from + c];
      if (v != nullptr) std::copy_n(v + from, D, tiles.v + (tile * kTileTokens + lane) * D);
    }
  });
}

}  // namespace dsrasq::kernels
