#include "dsrasq/policy/quest_layer.h"

#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 210, kCache = 64;

// The tokens that head h of query i reads: its own page and the best 3 of the full ones before.
std::vector<int64_t> read_by(const LoopLayer& loop, int64_t h, int64_t i) {
  const int64_t own = i / 16;
  std::vector<std::pair<double, int64_t>> pages;
  const std::vector<double> q = loop.turned(loop.query(i, h), i);
  for (int64_t page = 0; page < own; ++page) {
    std::vector<double> least = loop.turned(loop.key(page * 16, h), page * 16), most = least;
    for (int64_t j = page * 16; j < page * 16 + 16; ++j) {
      const std::vector<double> key = loop.turned(loop.key(j, h), j);
      for (size_t d = 0; d < key.size(); ++d) {
        least[d] = std::min(least[d], key[d]);
        most[d] = std::max(most[d], key[d]);
      }
    }
    double bound = 0;
    for (size_t d = 0; d < q.size(); ++d) bound += std::max(q[d] * least[d], q[d] * most[d]);
    pages.emplace_back(-bound, page);
  }
  std::sort(pages.begin(), pages.end());
  pages.resize(std::min<size_t>(pages.size(), kCache / 16 - 1));
  std::vector<int64_t> tokens;
  for (const auto& [bound, page] : pages)
    for (int64_t j = page * 16; j < page * 16 + 16; ++j) tokens.push_back(j);
  for (int64_t j = own * 16; j <= i; ++j) tokens.push_back(j);
  return tokens;
}

TEST(QuestLayer, EachHeadReadsThePagesWithTheLargestBounds) {
  at::manual_seed(15);
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads);
    const TestStream stream(heads, kTokens);
    PolicyOptions options;
    options.name = "quest";
    options.cache = kCache;
    const auto policy = make_policy(options, shape, nullptr);
    const at::Tensor out = read_on(*policy, stream, kTokens, {37});
    for (int64_t h = 0; h < heads.n_heads; ++h)
      for (int64_t i = 0; i < kTokens; ++i) {
        const LoopLayer sparse{shape, stream, 2}, dense{shape, stream, 1};
        const std::vector<int64_t> tokens = read_by(sparse, h, i), all = up_to(i + 1);
        expect_read(out, 2, i, h, sparse.sum(h, sparse.weights(h, i, tokens), tokens));
        if (i % 50 == 0) expect_read(out, 1, i, h, dense.sum(h, dense.weights(h, i, all), all));
      }
    for (const auto& held : layered(*policy).held(2)) EXPECT_EQ(held, up_to(kTokens));
  }
}

TEST(QuestLayer, ReadsAtLeastThreePages) {
  EXPECT_EQ(QuestLayer::pages_for(2048), 128);
  EXPECT_EQ(QuestLayer::pages_for(16), 3);
}

}  // namespace
}  // namespace dsrasq::policy
