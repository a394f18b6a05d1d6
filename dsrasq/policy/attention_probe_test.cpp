#include "dsrasq/policy/attention_probe.h"

#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 90;

TEST(AttentionProbe, SumsWhatTheLastTokenAttendsToOverLayers) {
  at::manual_seed(41);
  for (const TestHeads& heads : kTestHeads)
    for (const int64_t sliding_window : {0, 24}) {
      const AttentionShape shape = test_shape(heads, sliding_window, 6.0);
      const TestStream stream(heads, kTokens);
      AttentionProbe probe(shape, at::kCPU);
      for (const int64_t n : {kTokens - 1, int64_t{1}}) {
        read_on(probe.policy(), stream, n, {50});
        const int64_t last = probe.policy().position() - 1;
        std::vector<double> want(static_cast<size_t>(last + 1));
        for (int64_t l = sliding_window > 0 ? 1 : 0; l < kTestLayers; ++l) {
          const LoopLayer loop{shape, stream, l};
          for (int64_t h = 0; h < heads.n_heads; ++h) {
            const std::vector<double> weights = loop.weights(h, last, up_to(last + 1));
            for (size_t j = 0; j < want.size(); ++j)
              want[j] += weights[j] / static_cast<double>(heads.n_heads);
          }
        }
        const at::Tensor got = probe.last_attention();
        ASSERT_EQ(got.size(0), last + 1);
        for (size_t j = 0; j < want.size(); ++j)
          ASSERT_NEAR(got[static_cast<int64_t>(j)].item<double>(), want[j], 1e-5) << "token " << j;
      }
    }
}

TEST(AttentionProbe, AttendsAsFullAttentionDoes) {
  at::manual_seed(42);
  const AttentionShape shape = test_shape(kTestHeads[1], 24);
  const TestStream stream(kTestHeads[1], kTokens);
  AttentionProbe probe(shape, at::kCPU);
  PolicyOptions options;
  options.name = "full";
  const auto full = make_policy(options, shape, nullptr);
  EXPECT_LT(
      largest_difference(read_on(*full, stream, kTokens), read_on(probe.policy(), stream, kTokens)),
      2e-5);
}

}  // namespace
}  // namespace dsrasq::policy
