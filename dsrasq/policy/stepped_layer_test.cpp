#include "dsrasq/policy/stepped_layer.h"

#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 150, kCache = 40;

std::unique_ptr<Policy> make(const std::string& name, const AttentionShape& shape) {
  PolicyOptions options;
  options.name = name;
  options.cache = kCache;
  return make_policy(options, shape, nullptr);
}

// Of `scores` by position the lowest that may leave.
int64_t lowest(const std::map<int64_t, double>& scores, int64_t latest_to_leave) {
  auto best = scores.end();
  for (auto at = scores.begin(); at != scores.end(); ++at)
    if (at->first <= latest_to_leave && (best == scores.end() || at->second < best->second))
      best = at;
  return best->first;
}

std::vector<int64_t> tokens_of(const std::map<int64_t, double>& scores) {
  std::vector<int64_t> tokens;
  for (const auto& [token, score] : scores) tokens.push_back(token);
  return tokens;
}

TEST(SteppedLayer, H2oKeepsTheLatestHalfAndTheMostAttended) {
  at::manual_seed(11);
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads);
    const TestStream stream(heads, kTokens);
    const auto policy = make("h2o", shape);
    const at::Tensor out = read_on(*policy, stream, kTokens);
    for (int64_t l = 0; l < kTestLayers; ++l)
      for (int64_t g = 0; g < heads.n_kv_heads; ++g) {
        const LoopLayer loop{shape, stream, l};
        std::map<int64_t, double> held;  // and the attention received
        for (int64_t i = 0; i < kTokens; ++i) {
          held[i] = 0;
          const std::vector<int64_t> tokens = tokens_of(held);
          for (int64_t h = g * heads.n_rep(); h < (g + 1) * heads.n_rep(); ++h) {
            const std::vector<double> weights = loop.weights(h, i, tokens);
            expect_read(out, l, i, h, loop.sum(h, weights, tokens));
            for (size_t n = 0; n < tokens.size(); ++n) held[tokens[n]] += weights[n];
          }
          if (held.size() > kCache) held.erase(lowest(held, i - kCache / 2));
        }
        const auto got = layered(*policy).held(l)[static_cast<size_t>(g)];
        ASSERT_EQ(got, tokens_of(held)) << "layer " << l << ", KV head " << g;
        EXPECT_NE(got.front(), kTokens - kCache) << "not just the latest";
      }
  }
}

TEST(SteppedLayer, TovaKeepsWhatTheLatestQueryAttendsToForAllHeads) {
  at::manual_seed(12);
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads, 0, 5.0);
    const TestStream stream(heads, kTokens);
    const auto policy = make("tova", shape);
    const at::Tensor out = read_on(*policy, stream, kTokens, {31});
    for (int64_t l = 0; l < kTestLayers; ++l) {
      const LoopLayer loop{shape, stream, l};
      std::set<int64_t> held;
      for (int64_t i = 0; i < kTokens; ++i) {
        held.insert(i);
        const std::vector<int64_t> tokens(held.begin(), held.end());
        std::map<int64_t, double> received;
        for (int64_t h = 0; h < heads.n_heads; ++h) {
          const std::vector<double> weights = loop.weights(h, i, tokens);
          expect_read(out, l, i, h, loop.sum(h, weights, tokens));
          for (size_t n = 0; n < tokens.size(); ++n) received[tokens[n]] += weights[n];
        }
        if (held.size() > kCache) held.erase(lowest(received, i));
      }
      const std::vector<int64_t> want(held.begin(), held.end());
      for (const auto& got : layered(*policy).held(l)) EXPECT_EQ(got, want) << "layer " << l;
    }
  }
}

}  // namespace
}  // namespace dsrasq::policy
