#include "dsrasq/policy/call_slots.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "dsrasq/policy/masked_slots.h"

namespace dsrasq::policy {
namespace {

using memory::SlotMode;

constexpr int64_t kTokens = 330, kHeads = 4, kKvHeads = 2, kDim = 16, kSlots = 5, kBlock = 16;
constexpr double kScale = 0.25;

std::vector<float> values(int64_t n, double deviation) {
  const at::Tensor t = at::randn({n}).mul_(deviation);
  return {t.const_data_ptr<float>(), t.const_data_ptr<float>() + n};
}

memory::SlotParameters random_slots(SlotMode mode) {
  constexpr int64_t kWidth = kKvHeads * kDim;
  const int64_t rows = mode == SlotMode::kPosition ? kBlock : kWidth;
  return {.mode = mode,
          .n_slots = kSlots,
          .n_kv_heads = kKvHeads,
          .head_dim = kDim,
          .u_k = values(rows * kSlots, 0.3),
          .u_v = values(rows * kSlots, 0.3),
          .beta = mode == SlotMode::kRotate ? std::vector<float>()
                                            : std::vector<float>{0.3f, 0.6f, 0.9f, 0.99f, 0.999f},
          .read_k = values(kWidth * kWidth, 0.3),
          .read_v = values(kWidth * kWidth, 0.3),
          .gate = values(kHeads, 1)};
}

struct Stream {
  at::Tensor q = at::randn({kTokens, kHeads, kDim}), k = at::randn({kTokens, kKvHeads, kDim}),
             v = at::randn({kTokens, kKvHeads, kDim});
};

// Block by block.
at::Tensor wanted(const memory::SlotParameters& p, const memory::LeavingRule& rule,
                  const Stream& s) {
  MaskedSlots slots(p, at::kCPU);
  at::Tensor out = at::zeros_like(s.q);
  for (int64_t begin = 0; begin < kTokens; begin += rule.block) {
    const int64_t n_left = std::max<int64_t>(0, begin - rule.window) / rule.block;
    while (slots.n_folds() < n_left) {
      const int64_t start = slots.n_folds() * rule.block, end = start + rule.block;
      const int64_t first = std::clamp(rule.sinks, start, end), n = end - first;
      slots.fold(first - start, s.k.narrow(0, first, n), s.v.narrow(0, first, n));
    }
    const int64_t n = std::min(rule.block, kTokens - begin);
    const at::Tensor read =
        slots.read(s.q.narrow(0, begin, n), kScale, memory::lost_share(rule, begin));
    if (read.defined()) out.narrow(0, begin, n).copy_(read);
  }
  return out;
}

// In calls of `first` tokens, then of `cut`.
at::Tensor read(const memory::SlotParameters& p, const memory::LeavingRule& rule, const Stream& s,
                int64_t first, int64_t cut) {
  CallSlots slots(p, rule, kScale, at::kCPU);
  const size_t bytes = slots.bytes();
  at::Tensor out = at::zeros_like(s.q);
  for (int64_t begin = 0, n = first; begin < kTokens; begin += n, n = cut) {
    n = std::min(n, kTokens - begin);
    const auto stored = [&](int64_t from, int64_t count) {
      EXPECT_LE(from + count, begin + n) << "tokens that are still to come";
      return std::pair(s.k.narrow(0, from, count), s.v.narrow(0, from, count));
    };
    slots.add(s.q.narrow(0, begin, n), begin, stored, out.narrow(0, begin, n));
  }
  EXPECT_EQ(slots.bytes(), bytes);
  return out;
}

class CallSlotsTest : public testing::TestWithParam<SlotMode> {
 protected:
  void SetUp() override { at::manual_seed(4); }
};

TEST_P(CallSlotsTest, GiveWhatSlotsGiveBlockByBlockHoweverATextIsCut) {
  const memory::SlotParameters p = random_slots(GetParam());
  const Stream stream;
  const memory::LeavingRule rules[] = {{.window = 20, .sinks = 3, .pool = 40, .block = kBlock},
                                       {.window = 32, .sinks = 0, .pool = 16, .block = kBlock},
                                       {.window = 5, .sinks = 4, .pool = 1, .block = kBlock},
                                       {.window = 20, .sinks = 40, .pool = 64, .block = kBlock},
                                       {.window = 48, .sinks = 15, .pool = 200, .block = kBlock}};
  for (const memory::LeavingRule& rule : rules) {
    const at::Tensor want = wanted(p, rule, stream);
    EXPECT_GT(want.abs().max().item<float>(), 0.05f);
    for (const int64_t cut : {1, 7, 16, 48, 130, 330})
      for (const int64_t first : {cut, int64_t{97}})
        EXPECT_LT((read(p, rule, stream, first, cut) - want).abs().max().item<float>(), 1e-4f)
            << "window " << rule.window << ", calls of " << first << ", then " << cut;
  }
}

TEST_P(CallSlotsTest, AreSilentWhileThePoolHoldsEverything) {
  const memory::SlotParameters p = random_slots(GetParam());
  const memory::LeavingRule rule{.window = 20, .sinks = 3, .pool = kTokens, .block = kBlock};
  EXPECT_EQ(read(p, rule, Stream(), 100, 100).abs().max().item<float>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, CallSlotsTest,
                         testing::Values(SlotMode::kContent, SlotMode::kPosition,
                                         SlotMode::kRotate));

}  // namespace
}  // namespace dsrasq::policy
