#include "dsrasq/memory/slot_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace dsrasq::memory {
namespace {

constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 16, kWidth = kKvHeads * kDim, kSlots = 3;

std::vector<float> random(int64_t n, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<size_t>(n));
  for (float& value : out) value = normal(generator);
  return out;
}

SlotParameters parameters(float gate) {
  return {.n_slots = kSlots,
          .n_kv_heads = kKvHeads,
          .u_k = random(kWidth * kSlots, 1),
          .u_v = random(kWidth * kSlots, 2),
          .beta = {0.9f, 0.99f, 0.5f},
          .read_k = random(kKvHeads * kWidth * kDim, 3),
          .read_v = random(kKvHeads * kWidth * kDim, 4),
          .gate = std::vector<float>(kHeads, gate)};
}

TEST(SlotCache, AClosedGateChangesNothing) {
  const SlotParameters p = parameters(0);
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  const auto k = random(40 * kWidth, 5), q = random(kHeads * kDim, 6);
  cache.fold(40, k.data(), k.data());
  std::vector<float> out(kHeads * kDim, 7.0f);
  cache.read(1, q.data(), 0.25f, out.data());
  EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](float value) { return value == 7.0f; }));
}

TEST(SlotCache, AnEmptyCacheChangesNothing) {
  const SlotParameters p = parameters(1);
  const SlotCache cache(p, kHeads, kKvHeads, kDim);
  const auto q = random(kHeads * kDim, 6);
  std::vector<float> out(kHeads * kDim, 7.0f);
  cache.read(1, q.data(), 0.25f, out.data());
  EXPECT_EQ(out.front(), 7.0f);
}

// With every block the same, C_t / (1 - beta^t) is that block's summary at every t: the correction
// makes slow slots as strong as fast ones.
TEST(SlotCache, TheSameBlockAgainLeavesTheReadOutAlone) {
  const SlotParameters p = parameters(1);
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  const auto k = random(24 * kWidth, 8), v = random(24 * kWidth, 9), q = random(kHeads * kDim, 10);
  const auto read = [&] {
    std::vector<float> out(kHeads * kDim);
    cache.read(1, q.data(), 0.25f, out.data());
    return out;
  };
  cache.fold(24, k.data(), v.data());
  const auto first = read();
  EXPECT_GT(std::abs(first.front()), 1e-6f);
  for (int t = 0; t < 20; ++t) cache.fold(24, k.data(), v.data());
  const auto later = read();
  for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(first[i], later[i], 2e-3) << i;
  EXPECT_EQ(cache.n_folds(), 21);
}

TEST(SlotCache, MemoryDoesNotGrow) {
  const SlotParameters p = parameters(1);
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  const size_t bytes = cache.bytes();
  const auto k = random(24 * kWidth, 8);
  for (int t = 0; t < 50; ++t) cache.fold(24, k.data(), k.data());
  EXPECT_EQ(cache.bytes(), bytes);
}

}  // namespace
}  // namespace dsrasq::memory
