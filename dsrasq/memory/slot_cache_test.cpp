#include "dsrasq/memory/slot_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
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

constexpr int64_t kBlock = 40;

class SlotCacheTest : public testing::TestWithParam<SlotMode> {
 protected:
  static SlotParameters parameters(float gate) {
    const int64_t n_rows = GetParam() == SlotMode::kPosition ? kBlock : kWidth;
    SlotParameters p{.mode = GetParam(),
                     .n_slots = kSlots,
                     .n_kv_heads = kKvHeads,
                     .head_dim = kDim,
                     .u_k = random(n_rows * kSlots, 1),
                     .u_v = random(n_rows * kSlots, 2),
                     .beta = {0.9f, 0.99f, 0.5f},
                     .read_k = random(kKvHeads * kWidth * kDim, 3),
                     .read_v = random(kKvHeads * kWidth * kDim, 4),
                     .gate = std::vector<float>(kHeads, gate)};
    if (p.mode == SlotMode::kRotate) p.beta.clear();
    return p;
  }
  static std::vector<float> read(const SlotCache& cache) {
    std::vector<float> out(kHeads * kDim);
    cache.read(1, random(kHeads * kDim, 6).data(), 0.25f, 1, out.data());
    return out;
  }
  static std::vector<int64_t> places(int64_t n) {
    std::vector<int64_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  // A whole block of random tokens.
  static void fold(SlotCache& cache, uint64_t seed) {
    const auto k = random(kBlock * kWidth, seed), v = random(kBlock * kWidth, seed + 1000);
    cache.fold(places(kBlock), k.data(), v.data());
  }
};

TEST_P(SlotCacheTest, AClosedGateChangesNothing) {
  const SlotParameters p = parameters(0);
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  fold(cache, 5);
  const auto out = read(cache);
  EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](float value) { return value == 0; }));
}

TEST_P(SlotCacheTest, AnEmptyCacheChangesNothing) {
  const SlotParameters p = parameters(1);
  EXPECT_EQ(read({p, kHeads, kKvHeads, kDim}).front(), 0);
}

// With every block the same, C_t / (1 - beta^t) is that block's summary at every t: the correction
// makes slow slots as strong as fast ones. Of kRotate every slot is, once there were r blocks.
TEST_P(SlotCacheTest, TheSameBlockAgainLeavesTheReadOutAlone) {
  const SlotParameters p = parameters(1);
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  for (int64_t t = 0; t < kSlots; ++t) fold(cache, 8);
  const auto first = read(cache);
  EXPECT_GT(std::abs(first.front()), 1e-6f);
  for (int t = 0; t < 20; ++t) fold(cache, 8);
  const auto later = read(cache);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(first[i], later[i], 2e-3) << i;
  EXPECT_EQ(cache.n_folds(), kSlots + 20);
}

// Only of kRotate is what was before the last r blocks forgotten wholly.
TEST_P(SlotCacheTest, OldBlocksAreForgottenAsTheModeSays) {
  const SlotParameters p = parameters(1);
  const auto after = [&](uint64_t first_block) {
    SlotCache cache(p, kHeads, kKvHeads, kDim);
    fold(cache, first_block);
    for (uint64_t t = 0; t < kSlots; ++t) fold(cache, 20 + t);
    return read(cache);
  };
  EXPECT_EQ(after(8) == after(9), p.mode == SlotMode::kRotate);
}

// Slots that no block has filled take no share of the softmax: one filled slot is read as it is.
TEST(RotatingSlotCache, UnfilledSlotsAreNotRead) {
  const SlotParameters p{.mode = SlotMode::kRotate,
                         .n_slots = kSlots,
                         .n_kv_heads = kKvHeads,
                         .head_dim = kDim,
                         .u_k = std::vector<float>(kWidth * kSlots),
                         .u_v = std::vector<float>(kWidth * kSlots),
                         .beta = {},
                         .read_k = std::vector<float>(kKvHeads * kWidth * kDim),  // equal logits
                         .read_v = std::vector<float>(kKvHeads * kWidth * kDim, 1.0f / kWidth),
                         .gate = std::vector<float>(kHeads, 1)};
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  const std::vector<float> ones(2 * kWidth, 1.0f), q = random(kHeads * kDim, 6);
  const auto read = [&] {
    std::vector<float> out(kHeads * kDim);
    cache.read(1, q.data(), 0.25f, 1, out.data());
    return out.back();
  };
  const std::vector<int64_t> places{0, 1};
  cache.fold(places, ones.data(), ones.data());
  EXPECT_NEAR(read(), 2 * std::tanh(1.0f), 1e-5f) << "keys and values of one block";
  cache.fold({}, nullptr, nullptr);
  EXPECT_NEAR(read(), std::tanh(1.0f), 1e-5f) << "beside it, the zeros of a block without tokens";
}

// A token that is gone counts as one that a slot does not want: the others share its part.
TEST_P(SlotCacheTest, TheTokensThatAreLeftShareTheWeights) {
  SlotParameters p = parameters(1);
  const auto k = random(kBlock * kWidth, 8), v = random(kBlock * kWidth, 9);
  std::vector<int64_t> left;
  std::vector<float> left_k, left_v;
  for (int64_t i = 3; i < kBlock; i += 2) {
    left.push_back(i);
    left_k.insert(left_k.end(), k.begin() + i * kWidth, k.begin() + (i + 1) * kWidth);
    left_v.insert(left_v.end(), v.begin() + i * kWidth, v.begin() + (i + 1) * kWidth);
  }
  SlotCache some(p, kHeads, kKvHeads, kDim);
  some.fold(left, left_k.data(), left_v.data());
  if (p.mode != SlotMode::kPosition) {  // where a token is does not matter
    SlotCache moved(p, kHeads, kKvHeads, kDim);
    moved.fold(places(static_cast<int64_t>(left.size())), left_k.data(), left_v.data());
    EXPECT_EQ(read(some), read(moved));
    return;
  }
  for (int64_t i = 0; i < kBlock; ++i)
    if (std::find(left.begin(), left.end(), i) == left.end())
      for (int64_t s = 0; s < kSlots; ++s)
        p.u_k[static_cast<size_t>(i * kSlots + s)] = p.u_v[static_cast<size_t>(i * kSlots + s)] =
            -1e9f;
  SlotCache all(p, kHeads, kKvHeads, kDim);
  all.fold(places(kBlock), k.data(), v.data());
  const auto want = read(all), got = read(some);
  EXPECT_GT(std::abs(want.front()), 1e-3f);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5f) << i;
}

TEST_P(SlotCacheTest, MemoryDoesNotGrow) {
  const SlotParameters p = parameters(1);
  SlotCache cache(p, kHeads, kKvHeads, kDim);
  const size_t bytes = cache.bytes();
  for (int t = 0; t < 50; ++t) fold(cache, 8);
  EXPECT_EQ(cache.bytes(), bytes);
}

INSTANTIATE_TEST_SUITE_P(Modes, SlotCacheTest,
                         testing::Values(SlotMode::kContent, SlotMode::kPosition,
                                         SlotMode::kRotate),
                         [](const auto& info) { return slot_mode_name(info.param); });

}  // namespace
}  // namespace dsrasq::memory
