#include "dsrasq/policy/layer_memory.h"

#include <functional>
#include <memory>

#include "dsrasq/policy/band_layer.h"
#include "dsrasq/policy/baseline_test_bench.h"
#include "dsrasq/policy/prompt_layer.h"
#include "dsrasq/policy/quest_layer.h"
#include "dsrasq/policy/razor_layer.h"
#include "dsrasq/policy/stepped_layer.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 140;

// What a memory gives for random tokens rounded to bf16, read in two calls around the prompt's end.
at::Tensor read(LayerMemory& memory, const HeadShape& shape, const ops::Rope& rope) {
  at::set_num_threads(1);
  at::manual_seed(31);
  const auto rows = [&](int64_t heads) {
    return at::randn({kTokens, heads, kTestDim}).to(at::kBFloat16).to(shape.rows.dtype());
  };
  const at::Tensor q = rows(shape.n_heads), k = rows(shape.n_kv_heads), v = rows(shape.n_kv_heads);
  std::vector<at::Tensor> parts;
  for (const auto& [first, n] : {std::pair<int64_t, int64_t>{0, 100}, {100, 40}}) {
    const auto now = rope.angles(first, n, at::kCPU);
    const at::Tensor raw = q.narrow(0, first, n);
    parts.push_back(memory.attend({.first = first,
                                   .q = ops::rotate(raw, now).transpose(0, 1),
                                   .k = ops::rotate(k.narrow(0, first, n), now).transpose(0, 1),
                                   .v = v.narrow(0, first, n).transpose(0, 1),
                                   .q_without_rope = raw}));
    if (first == 0) memory.prompt_ended();
  }
  return at::cat(parts, 1);
}

// As on a GPU; there it is the same code. Tokens are chosen by position or not at all, or rounding
// could change a choice.
TEST(LayerMemory, HalfPrecisionReadsNearlyTheSame) {
  const AttentionShape model = test_shape(kTestHeads[1], 0, 9.0);
  const ops::Rope& rope = model.layers[0].rope;
  using Make = std::function<std::unique_ptr<LayerMemory>(const HeadShape&)>;
  const std::vector<Make> makes{
      [&](const HeadShape& s) { return std::make_unique<BandLayer>(s, rope, 4, 30); },
      [](const HeadShape& s) { return std::make_unique<SteppedLayer>(s, kTokens, h2o_evictor(8)); },
      [](const HeadShape& s) {
        return std::make_unique<PromptLayer>(s, PromptBudget{.cache = kTokens, .observed = 8});
      },
      [](const HeadShape& s) { return std::make_unique<QuestLayer>(s, 9); },
      [](const HeadShape& s) {
        return std::make_unique<RazorLayer>(s, std::vector<bool>{false, true, false},
                                            RazorLayer::Size{4, 20});
      }};
  HeadShape exact = HeadShape::of(model, 0, at::kCPU), half = exact;
  half.rows = exact.rows.dtype(at::kBFloat16);
  for (size_t i = 0; i < makes.size(); ++i) {
    const auto full = makes[i](exact), rounded = makes[i](half);
    const at::Tensor want = read(*full, exact, rope), got = read(*rounded, half, rope);
    EXPECT_EQ(got.scalar_type(), at::kBFloat16) << "memory " << i;
    EXPECT_LT(largest_difference(want, got.to(at::kFloat)), 0.1) << "memory " << i;
    EXPECT_LT((want - got.to(at::kFloat)).abs().mean().item<double>(), 0.01) << "memory " << i;
    EXPECT_EQ(full->held(), rounded->held()) << "memory " << i;
  }
}

TEST(LayerMemory, HalfPrecisionChoosesAsManyTokens) {
  const AttentionShape model = test_shape(kTestHeads[0]);
  HeadShape half = HeadShape::of(model, 0, at::kCPU);
  half.rows = half.rows.dtype(at::kBFloat16);
  SteppedLayer h2o(half, 20, h2o_evictor(20)), tova(half, 20, tova_evictor());
  PromptLayer snapkv(half, {.cache = 20, .observed = 8});
  QuestLayer quest(half, 3);
  const auto n_held = [&](LayerMemory& memory) {
    EXPECT_TRUE(read(memory, half, model.layers[0].rope).isfinite().all().item<bool>());
    return memory.held()[1].size();
  };
  EXPECT_EQ(n_held(h2o), 20u);
  EXPECT_EQ(n_held(tova), 20u);
  EXPECT_EQ(n_held(snapkv), 20u + 40);
  EXPECT_EQ(n_held(quest), static_cast<size_t>(kTokens));
}

}  // namespace
}  // namespace dsrasq::policy
