#include "dsrasq/train/student_slots.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "dsrasq/memory/lost_share.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kTokens = 123, kHeads = 4, kKvHeads = 2, kDim = 16, kSlots = 3;
constexpr SlotRules kRules{.window = 20, .sinks = 3, .block = 16, .pool = 24};

class StudentSlots : public testing::TestWithParam<SlotTensors::Kind> {};

SlotTensors fresh_slots(const SlotTensors::Kind& kind) {
  return SlotTensors::fresh({.n_slots = kSlots,
                             .n_heads = kHeads,
                             .n_kv_heads = kKvHeads,
                             .head_dim = kDim,
                             .block = kRules.block},
                            kind, 1);
}

// Random slots, with gates that let something through.
SlotTensors random_slots(const SlotTensors::Kind& kind) {
  SlotTensors slots = fresh_slots(kind);
  slots.gate = at::randn({kHeads});
  slots.read_k = at::randn_like(slots.read_k).mul_(0.3);
  slots.read_v = at::randn_like(slots.read_v).mul_(0.3);
  return slots;
}

TEST_P(StudentSlots, ReadsWhatTheCacheOfInferenceReads) {
  at::manual_seed(2);
  const SlotTensors slots = random_slots(GetParam());
  const at::Tensor q = at::randn({kTokens, kHeads, kDim}), k = at::randn({kTokens, kKvHeads, kDim});
  const at::Tensor v = at::randn({kTokens, kKvHeads, kDim});
  const at::Tensor read = read_slots(slots, q, k, v, 0.25, kRules);

  const memory::SlotParameters parameters = slots.to_parameters();
  memory::SlotCache cache(parameters, kHeads, kKvHeads, kDim);
  at::Tensor wanted = at::zeros({kTokens, kHeads, kDim});
  for (int64_t begin = 0; begin < kTokens; begin += kRules.block) {
    const int64_t n_left = std::max<int64_t>(0, begin - kRules.window) / kRules.block;
    while (cache.n_folds() < n_left) {
      const int64_t first = cache.n_folds() * kRules.block;
      const int64_t skip = std::max<int64_t>(0, kRules.sinks - first);
      const int64_t n = kRules.block - skip;
      std::vector<int64_t> places(static_cast<size_t>(n));
      std::iota(places.begin(), places.end(), skip);
      cache.fold(places, k.narrow(0, first + skip, n).contiguous().const_data_ptr<float>(),
                 v.narrow(0, first + skip, n).contiguous().const_data_ptr<float>());
    }
    const int64_t n = std::min(kRules.block, kTokens - begin);
    const double share =
        memory::lost_share({kRules.window, kRules.sinks, kRules.pool, kRules.block}, begin);
    cache.read(n, q.narrow(0, begin, n).contiguous().const_data_ptr<float>(), 0.25f,
               static_cast<float>(share), wanted.narrow(0, begin, n).mutable_data_ptr<float>());
  }
  EXPECT_GT(wanted.abs().max().item<float>(), 0.1f);
  EXPECT_LT((read - wanted).abs().max().item<float>(), 1e-4f);
}

TEST_P(StudentSlots, AreSilentWhileThePoolHoldsEverything) {
  const SlotTensors slots = random_slots(GetParam());
  const at::Tensor q = at::randn({kTokens, kHeads, kDim}), k = at::randn({kTokens, kKvHeads, kDim});
  for (const int64_t pool : {int64_t{0}, kTokens}) {
    SlotRules rules = kRules;
    rules.pool = pool;
    EXPECT_FALSE(read_slots(slots, q, k, k, 0.25, rules).defined()) << pool;
  }
}

TEST_P(StudentSlots, NothingIsReadBeforeABlockHasLeftTheWindow) {
  const SlotTensors slots = random_slots(GetParam());
  const at::Tensor q = at::randn({48, kHeads, kDim}), k = at::randn({48, kKvHeads, kDim});
  EXPECT_FALSE(read_slots(slots, q, k, k, 0.25, kRules).defined());
}

TEST_P(StudentSlots, FreshOnesAreSilentAndTheirGatesLearn) {
  SlotTensors slots = fresh_slots(GetParam());
  slots.visit([](const char*, at::Tensor& t) { t.requires_grad_(true); });
  const at::Tensor q = at::randn({kTokens, kHeads, kDim}), k = at::randn({kTokens, kKvHeads, kDim});
  const at::Tensor read = read_slots(slots, q, k, k, 0.25, kRules);
  EXPECT_EQ(read.abs().max().item<float>(), 0);
  read.square().sum().backward();
  (read_slots(slots, q, k, k, 0.25, kRules) * q).sum().backward();
  EXPECT_GT(slots.gate.grad().abs().max().item<float>(), 0);
}

TEST_P(StudentSlots, BetaIsLearnedFromASpectrumOrFixedOrNotThere) {
  const auto [mode, fixed] = GetParam();
  const SlotTensors fresh = fresh_slots(GetParam());
  const memory::SlotParameters parameters = fresh.to_parameters();
  EXPECT_EQ(fresh.beta_logit.defined(), fresh.learns_beta());
  if (mode == memory::SlotMode::kRotate) {
    EXPECT_TRUE(parameters.beta.empty());
    return;
  }
  EXPECT_NEAR(parameters.beta.front(), fixed > 0 ? fixed : 0.9, 1e-4);
  EXPECT_NEAR(parameters.beta.back(), fixed > 0 ? fixed : 0.999, 1e-5);
  // A beta that is fixed takes the place of one that was learned, and is where another goes on.
  EXPECT_EQ(SlotTensors::from(parameters, 0.25).to_parameters().beta,
            std::vector<float>(kSlots, 0.25f));
  EXPECT_NEAR(SlotTensors::from(parameters, 0).to_parameters().beta[1], parameters.beta[1], 1e-5);
}

TEST_P(StudentSlots, GradientsMatchFiniteDifferences) {
  at::manual_seed(3);
  SlotTensors slots = random_slots(GetParam());
  slots.visit([](const char*, at::Tensor& t) { t = t.to(at::kDouble); });
  const auto doubles = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor q = at::randn({kTokens, kHeads, kDim}, doubles);
  const at::Tensor k = at::randn({kTokens, kKvHeads, kDim}, doubles);
  const at::Tensor v = at::randn({kTokens, kKvHeads, kDim}, doubles);
  const at::Tensor direction = at::randn({kTokens, kHeads, kDim}, doubles);
  const auto value = [&] { return (read_slots(slots, q, k, v, 0.25, kRules) * direction).sum(); };
  slots.visit([](const char*, at::Tensor& t) { t.requires_grad_(true); });
  value().backward();
  slots.visit([&](const char* name, at::Tensor& t) {
    // Along one random direction of each tensor.
    const at::Tensor gradient = t.grad(), before = t.detach().clone();
    const at::Tensor along = at::randn_like(before);
    constexpr double kStep = 1e-5;
    t = before + kStep * along;
    const double above = value().item<double>();
    t = before - kStep * along;
    const double below = value().item<double>();
    t = before;
    const double wanted = (above - below) / (2 * kStep);
    EXPECT_NEAR((gradient * along).sum().item<double>(), wanted, 1e-5 * (1 + std::abs(wanted)))
        << name;
  });
}

TEST_P(StudentSlots, BlocksBeyondTheHorizonGetNoGradientsAndCountAllTheSame) {
  at::manual_seed(3);
  const SlotTensors slots = random_slots(GetParam());
  const int64_t block = kRules.block, n_tokens = 7 * block;
  const at::Tensor q = at::randn({n_tokens, kHeads, kDim}),
                   v = at::randn({n_tokens, kKvHeads, kDim});
  at::Tensor k = at::randn({n_tokens, kKvHeads, kDim}).requires_grad_(true);
  SlotRules near = kRules;
  near.horizon = (kRules.lag() + 2) * block;
  const at::Tensor read = read_slots(slots, q, k, v, 0.25, near);
  EXPECT_LT((read - read_slots(slots, q, k, v, 0.25, kRules)).abs().max().item<float>(), 1e-6f);
  // Of the last block's queries: the newest of its blocks is lag + 1 before it.
  read.narrow(0, 6 * block, block).sum().backward();
  const int64_t first_live = (6 - kRules.lag() - 2) * block;
  EXPECT_EQ(k.grad().narrow(0, 0, first_live).abs().max().item<float>(), 0);
  EXPECT_GT(k.grad().narrow(0, first_live, block).abs().max().item<float>(), 0);
  EXPECT_EQ(k.grad().narrow(0, first_live + 2 * block, block).abs().max().item<float>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, StudentSlots,
                         testing::Values(SlotTensors::Kind{memory::SlotMode::kContent, 0},
                                         SlotTensors::Kind{memory::SlotMode::kContent, 0.7},
                                         SlotTensors::Kind{memory::SlotMode::kPosition, 0},
                                         SlotTensors::Kind{memory::SlotMode::kPosition, 0.7},
                                         SlotTensors::Kind{memory::SlotMode::kRotate, 0}),
                         [](const auto& info) {
                           const std::string name = memory::slot_mode_name(info.param.mode);
                           return info.param.fixed_beta > 0 ? name + "WithOneBeta" : name;
                         });

}  // namespace
}  // namespace dsrasq::train
