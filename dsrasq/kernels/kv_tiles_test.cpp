#include "dsrasq/kernels/kv_tiles.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace dsrasq::kernels {
namespace {

TEST(KvTiles, EveryTokenLiesAtItsPositionInTheRing) {
  constexpr int32_t kHeads = 2, kDim = 16;
  constexpr int64_t kTiles = 3, kFirst = 29, kTokens = 48;
  std::vector<float> k(kTokens * kHeads * kDim), v(k.size());
  std::iota(k.begin(), k.end(), 1.0f);
  std::iota(v.begin(), v.end(), -5000.0f);
  std::vector<float> ring_k(kHeads * kTiles * 16 * kDim), ring_v(ring_k.size());
  store_kv_tiles({ring_k.data(), ring_v.data(), kTiles, kHeads, kDim}, k.data(), v.data(), kFirst,
                 kTokens);
  for (int64_t i = 0; i < kTokens; ++i) {
    const int64_t position = kFirst + i, tile = position / 16 % kTiles, lane = position % 16;
    for (int64_t h = 0; h < kHeads; ++h) {
      for (int64_t c = 0; c < kDim; ++c) {
        const int64_t from = (i * kHeads + h) * kDim + c;
        EXPECT_EQ(ring_k[((h * kTiles + tile) * kDim + c) * 16 + lane], k[from]);
        EXPECT_EQ(ring_v[((h * kTiles + tile) * 16 + lane) * kDim + c], v[from]);
      }
    }
  }
}

TEST(KvTiles, ValuesMayBeLeftOut) {
  const std::vector<float> k(16, 2.0f);
  std::vector<float> tile(16 * 16, 0.0f);
  store_kv_tiles({tile.data(), nullptr, 1, 1, 16}, k.data(), nullptr, 3, 1);
  EXPECT_EQ(tile[3], 2.0f);
  EXPECT_EQ(tile[2], 0.0f);
}

}  // namespace
}  // namespace dsrasq::kernels
