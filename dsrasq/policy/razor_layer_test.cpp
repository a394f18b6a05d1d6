#include "dsrasq/policy/razor_layer.h"

#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 260, kCache = 40, kSinks = 4;

// The first token after the sinks that a query of a head without retrieval reads exactly.
int64_t first_read(int64_t i) { return std::max(kSinks, i - std::max(kCache - kSinks, i / 5)); }

std::vector<double> read_by_local_head(const LoopLayer& loop, int64_t h, int64_t i) {
  const int64_t first = first_read(i);
  std::vector<int64_t> tokens = up_to(std::min(i + 1, kSinks));
  for (int64_t j = first; j <= i; ++j) tokens.push_back(j);
  std::vector<double> logits;
  for (const int64_t j : tokens) logits.push_back(loop.logit(h, i, j, i, j));
  std::vector<double> mean_key(kTestDim), mean_value(kTestDim);
  const auto n_dropped = static_cast<double>(first - kSinks);
  for (int64_t j = kSinks; j < first; ++j)
    for (size_t d = 0; d < kTestDim; ++d) {
      mean_key[d] += loop.turned(loop.key(j, h), j)[d] / n_dropped;
      mean_value[d] += loop.value(j, h)[d] / n_dropped;
    }
  if (n_dropped > 0)
    logits.push_back(loop.capped(LoopLayer::dot(loop.turned(loop.query(i, h), i), mean_key)) +
                     std::log(n_dropped));
  const std::vector<double> weights = LoopLayer::softmax(logits);
  std::vector<double> out = loop.sum(h, weights, tokens);
  if (n_dropped > 0)
    for (size_t d = 0; d < kTestDim; ++d) out[d] += weights.back() * mean_value[d];
  return out;
}

TEST(RazorLayer, RetrievalHeadsReadAllOthersTheLatestAndOneMean) {
  at::manual_seed(16);
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads, 0, 6.0);
    const TestStream stream(heads, kTokens);
    const auto n_kv = static_cast<size_t>(heads.n_kv_heads);
    RetrievalHeads retrieval(kTestLayers, std::vector<bool>(n_kv));
    retrieval[0][1] = true;
    retrieval[2] = std::vector<bool>(n_kv, true);
    PolicyOptions options;
    options.name = "razor";
    options.cache = kCache;
    const auto policy = make_policy(options, shape, nullptr, at::kCPU, &retrieval);
    const at::Tensor out = read_on(*policy, stream, kTokens, {60, 1, 9});
    for (int64_t l = 0; l < kTestLayers; ++l) {
      const LoopLayer loop{shape, stream, l};
      for (int64_t h = 0; h < heads.n_heads; ++h) {
        const auto g = static_cast<size_t>(h / heads.n_rep());
        const bool reads_all = retrieval[static_cast<size_t>(l)][g];
        for (int64_t i = 0; i < kTokens; i += i < 60 ? 1 : 13) {
          const std::vector<int64_t> all = up_to(i + 1);
          expect_read(out, l, i, h,
                      reads_all ? loop.sum(h, loop.weights(h, i, all), all)
                                : read_by_local_head(loop, h, i));
        }
        const size_t n_held = layered(*policy).held(l)[g].size();
        EXPECT_EQ(n_held, reads_all ? kTokens : kSinks + kTokens - first_read(kTokens));
      }
    }
  }
}

TEST(RazorLayer, WantsRetrievalHeads) {
  const AttentionShape shape = test_shape(kTestHeads[0]);
  PolicyOptions options;
  options.name = "razor";
  try {
    make_policy(options, shape, nullptr);
    FAIL() << "no throw";
  } catch (const std::exception& e) {
    EXPECT_NE(std::string(e.what()).find("razor needs the model's retrieval heads"),
              std::string::npos);
  }
}

// The formula by plain loops on what random layers attend to.
TEST(RetrievalProbe, MeasuresAttentionToEarlierCopiesAndTheirNext) {
  at::manual_seed(17);
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads, 20);  // layer 0 has a sliding window
    RetrievalProbe probe(shape, at::kCPU, 90, 1);
    constexpr int64_t kLength = 63;  // a quarter of what the context of 256 has room for
    ASSERT_EQ(probe.ids().size(), 1u + 4 * kLength);
    EXPECT_EQ(probe.ids().front(), 1);
    for (size_t i = 1; i <= kLength; ++i)
      for (size_t times = 1; times < 4; ++times)
        EXPECT_EQ(probe.ids()[i], probe.ids()[i + times * kLength]);
    const auto n = static_cast<int64_t>(probe.ids().size());
    const TestStream stream(heads, n);
    read_on(probe.policy(), stream, n, {100, 3});
    const at::Tensor echo = probe.echo(), induction = probe.induction();
    ASSERT_EQ(echo.sizes(), at::IntArrayRef({2, heads.n_kv_heads}));
    for (int64_t l = 1; l < kTestLayers; ++l)
      for (int64_t g = 0; g < heads.n_kv_heads; ++g) {
        const LoopLayer loop{shape, stream, l};
        double most_echo = 0, most_induction = 0;
        for (int64_t h = g * heads.n_rep(); h < (g + 1) * heads.n_rep(); ++h) {
          double echoes = 0, inductions = 0;
          for (int64_t i = 1 + kLength; i < n; ++i) {
            const std::vector<double> weights = loop.weights(h, i, up_to(i + 1));
            for (int64_t j = i - kLength; j >= 1; j -= kLength) {
              echoes += weights[static_cast<size_t>(j)];
              inductions += weights[static_cast<size_t>(j + 1)];
            }
          }
          most_echo = std::max(most_echo, echoes / (3 * kLength));
          most_induction = std::max(most_induction, inductions / (3 * kLength));
        }
        EXPECT_NEAR(echo[l - 1][g].item<double>(), most_echo, 1e-5);
        EXPECT_NEAR(induction[l - 1][g].item<double>(), most_induction, 1e-5);
      }
    // One by echo and one by induction of the few heads that there are.
    const RetrievalHeads found = probe.heads();
    EXPECT_EQ(found[0], std::vector<bool>(static_cast<size_t>(heads.n_kv_heads)));
    for (const at::Tensor& scores : {echo, induction}) {
      const auto best = static_cast<size_t>(scores.argmax().item<int64_t>());
      const auto n_kv = static_cast<size_t>(heads.n_kv_heads);
      EXPECT_TRUE(found[1 + best / n_kv][best % n_kv]);
    }
  }
}

TEST(RetrievalProbe, AtMostFifteenPercentAreRetrievalHeads) {
  EXPECT_EQ(most_retrieval_heads(1000), 150);
  EXPECT_EQ(most_retrieval_heads(90), 14);
  EXPECT_EQ(most_retrieval_heads(1), 1);
}

}  // namespace
}  // namespace dsrasq::policy
