#include "dsrasq/policy/prompt_layer.h"

#include <functional>

#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kPrompt = 200, kAfter = 30, kObserved = 8;

std::unique_ptr<Policy> make(const std::string& name, int64_t cache, const AttentionShape& shape) {
  PolicyOptions options;
  options.name = name;
  options.cache = cache;
  options.observed = kObserved;
  return make_policy(options, shape, nullptr);
}

// SnapKV by its formula: what the tokens before the last w are worth to KV head g.
std::vector<double> pooled_attention(const LoopLayer& loop, int64_t g) {
  const int64_t n_before = kPrompt - kObserved, n_rep = loop.n_rep();
  std::vector<double> received(static_cast<size_t>(n_before)), pooled;
  for (int64_t h = g * n_rep; h < (g + 1) * n_rep; ++h)
    for (int64_t i = n_before; i < kPrompt; ++i) {
      const std::vector<double> weights = loop.weights(h, i, up_to(i + 1));
      for (size_t j = 0; j < received.size(); ++j)
        received[j] += weights[j] / static_cast<double>(n_rep);
    }
  for (int64_t j = 0; j < n_before; ++j)
    pooled.push_back(*std::max_element(received.begin() + std::max<int64_t>(0, j - 3),
                                       received.begin() + std::min(n_before, j + 4)));
  return pooled;
}

// Neighbours share the largest score, so a budget may end among equals: any of them may stay.
void expect_best_kept(const std::vector<int64_t>& held, const std::vector<double>& worth,
                      int64_t n_kept) {
  ASSERT_EQ(held.size(), static_cast<size_t>(n_kept + kObserved));
  EXPECT_TRUE(std::is_sorted(held.begin(), held.end()));
  std::vector<double> best = worth;
  std::sort(best.begin(), best.end(), std::greater<>());
  const double least = best[static_cast<size_t>(n_kept - 1)];
  for (size_t n = 0; n < held.size(); ++n) {
    const auto token = static_cast<size_t>(held[n]);
    if (n < static_cast<size_t>(n_kept))
      EXPECT_GE(worth.at(token), least - 1e-6) << "token " << token;
    else
      EXPECT_EQ(token, kPrompt - kObserved + n - static_cast<size_t>(n_kept));
  }
}

// Reads a prompt and what comes after; `n_kept` of each layer before the last w.
void check(const std::string& name, int64_t cache, const std::vector<int64_t>& n_kept) {
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads);
    const TestStream stream(heads, kPrompt + kAfter);
    const auto policy = make(name, cache, shape);
    const at::Tensor prompt = read_on(*policy, stream, kPrompt, {50, 7});
    for (const auto& held : layered(*policy).held(1)) ASSERT_EQ(held, up_to(kPrompt));
    policy->prompt_ended();
    std::vector<std::vector<std::vector<int64_t>>> held;
    for (int64_t l = 0; l < kTestLayers; ++l) held.push_back(layered(*policy).held(l));
    const at::Tensor after = read_on(*policy, stream, kAfter, {1, 5});
    policy->prompt_ended();  // once only
    for (int64_t l = 0; l < kTestLayers; ++l) {
      const LoopLayer loop{shape, stream, l};
      for (int64_t h = 0; h < heads.n_heads; ++h) {
        const auto g = static_cast<size_t>(h / heads.n_rep());
        const auto layer = static_cast<size_t>(l);
        std::vector<int64_t> tokens = held[layer][g];
        expect_best_kept(tokens, pooled_attention(loop, static_cast<int64_t>(g)), n_kept[layer]);
        const auto all = up_to(kPrompt);
        expect_read(prompt, l, kPrompt - 1, h, loop.sum(h, loop.weights(h, kPrompt - 1, all), all));
        for (int64_t i = kPrompt; i < kPrompt + kAfter; ++i) {
          tokens.push_back(i);
          expect_read(after, l, i, h, loop.sum(h, loop.weights(h, i, tokens), tokens), kPrompt);
        }
        EXPECT_EQ(layered(*policy).held(l)[g], tokens) << "what comes later stays";
      }
    }
  }
}

TEST(PromptLayer, SnapKvKeepsWhatTheLastQueriesAttendTo) {
  at::manual_seed(13);
  check("snapkv", 60, {52, 52, 52});
}

// Mean 52: least 52 / 20 = 2, most 102, steps of 50.
TEST(PromptLayer, PyramidKvKeepsLessInHigherLayers) {
  at::manual_seed(14);
  check("pyramidkv", 60, {102, 52, 2});
}

TEST(PromptLayer, PyramidBudgetsFollowTheOfficialRule) {
  const auto kept_before = [](int64_t cache, int64_t layer, int64_t n_prompt) {
    return PromptBudget{
        .cache = cache, .observed = 8, .is_pyramid = true, .layer = layer, .n_layers = 32}
        .kept_before(n_prompt);
  };
  // 2,040 before the window: least 102, most 3,978, steps of 125.
  EXPECT_EQ(kept_before(2048, 0, 8192), 3978);
  EXPECT_EQ(kept_before(2048, 1, 8192), 3853);
  EXPECT_EQ(kept_before(2048, 31, 8192), 103);
  // Below twice the budget: the same everywhere.
  EXPECT_EQ(kept_before(2048, 0, 4079), 2040);
  EXPECT_EQ(kept_before(2048, 31, 4079), 2040);
  // 234 wanted in the lowest layer where 232 are before the window: the highest gets two more, 8.
  EXPECT_EQ(kept_before(128, 0, 240), 232);
  EXPECT_EQ(kept_before(128, 31, 240), 232 - 31 * ((232 - 8) / 31));
}

TEST(PromptLayer, AShortPromptStaysWhole) {
  const TestHeads heads = kTestHeads[0];
  const AttentionShape shape = test_shape(heads);
  const auto policy = make("snapkv", kPrompt, shape);
  read_on(*policy, TestStream(heads, kPrompt), kPrompt);
  policy->prompt_ended();
  for (const auto& held : layered(*policy).held(0)) EXPECT_EQ(held, up_to(kPrompt));
}

}  // namespace
}  // namespace dsrasq::policy
