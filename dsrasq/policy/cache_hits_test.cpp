#include "dsrasq/policy/cache_hits.h"

#include "dsrasq/policy/baseline_test_bench.h"
#include "dsrasq/policy/masked_policy.h"
#include "dsrasq/policy/sparse_policy.h"

namespace dsrasq::policy {
namespace {

// A pool that is small enough for its slots to be used again.
PolicyOptions small_options(const std::string& name) {
  PolicyOptions options;
  options.name = name;
  options.window = 24;
  options.sinks = 3;
  options.top_k = 7;
  options.pool = 64;
  options.block = 32;
  options.max_distance = 100;
  return options;
}

/// The positions that every query picked, by layer.
class Picks final : public SelectionObserver {
 public:
  void selected(const SelectionRequest& request, const Selection& selection) override {
    for (int64_t t = 0; t < request.n_queries; ++t) {
      std::set<int64_t> picked;
      for (int64_t i = 0; i < selection.counts[static_cast<size_t>(t)]; ++i)
        picked.insert(request.pool.position_of(
            selection.slots[static_cast<size_t>(t * selection.top_k + i)]));
      by_layer[request.input.layer].push_back(picked);
    }
  }

  std::map<int64_t, std::vector<std::set<int64_t>>> by_layer;
};

// The definition, from sets.
double rate_of(const Picks& picks) {
  double sum = 0, n = 0;
  for (const auto& [layer, sets] : picks.by_layer)
    for (size_t i = 1; i < sets.size(); ++i) {
      if (sets[i].empty()) continue;
      const auto hits = std::count_if(sets[i].begin(), sets[i].end(),
                                      [&](int64_t j) { return sets[i - 1].contains(j); });
      sum += static_cast<double>(hits) / static_cast<double>(sets[i].size());
      ++n;
    }
  return sum / n;
}

TEST(CacheHits, AreTheShareThatTheQueryBeforePickedToo) {
  const AttentionShape shape = test_shape({}, 16);  // layer 0 retrieves nothing
  at::manual_seed(3);
  const TestStream stream({}, 300);
  for (const char* name : {"recency", "random", "oracle"})
    for (const std::vector<int64_t>& cuts : {std::vector<int64_t>{64}, {5, 1}}) {
      const auto policy = make_policy(small_options(name), shape, nullptr);
      Picks picks;
      dynamic_cast<SparsePolicy&>(*policy).observe(&picks);
      count_hits(*policy);
      read_on(*policy, stream, 300, cuts);
      ASSERT_EQ(picks.by_layer.size(), 2u);
      EXPECT_EQ(picks.by_layer[1].size(), 300u);
      EXPECT_GT(cache_hit_rate(*policy).value(), 0) << name;
      EXPECT_LT(cache_hit_rate(*policy).value(), 0.9) << name;
      EXPECT_NEAR(cache_hit_rate(*policy).value(), rate_of(picks), 1e-12) << name;
    }
}

TEST(CacheHits, OfTheLatestTokensAreAllButOne) {
  const AttentionShape shape = test_shape({});
  const TestStream stream({}, 200);
  const auto policy = make_policy(small_options("recency"), shape, nullptr);
  read_on(*policy, stream, 150);
  EXPECT_FALSE(cache_hit_rate(*policy).has_value()) << "nobody asked";
  count_hits(*policy);
  EXPECT_FALSE(cache_hit_rate(*policy).has_value()) << "no query yet";
  read_on(*policy, stream, 50);
  EXPECT_NEAR(cache_hit_rate(*policy).value(), 6.0 / 7, 1e-12);
}

TEST(CacheHits, OfATokenInTheSlotOfAnotherAreNone) {
  memory::TokenPool pool({.n_kv_heads = 1, .head_dim = 16, .capacity = 16, .block = 16});
  const std::vector<float> rows(16 * 16);
  const Selection selection{.top_k = 2, .slots = {0, 1}, .counts = {2}};
  CacheHits hits(1);
  pool.append(0, 16, rows.data(), rows.data(), nullptr);
  const std::vector<int32_t> before = pool.slots_by_position();
  hits.add(0, pool, selection);
  hits.add(0, pool, selection);
  EXPECT_EQ(hits.rate().value(), 1);
  for (int64_t first = 16; first < 96; first += 16) {
    pool.evict(first);
    pool.append(first, 16, rows.data(), rows.data(), nullptr);
  }
  ASSERT_NE(pool.position_of(before[0]), 0) << "the page was to be used again";
  hits.add(0, pool, selection);
  EXPECT_EQ(hits.rate().value(), 0.5);
}

TEST(CacheHits, AreTheSameOnTensors) {
  const AttentionShape shape = test_shape({}, 16);
  at::manual_seed(4);
  const TestStream stream({}, 300);
  for (const char* name : {"recency", "oracle"}) {
    const PolicyOptions options = small_options(name);
    const auto sparse = make_policy(options, shape, nullptr);
    MaskedPolicy masked(options, shape, nullptr, at::kCPU);
    for (Policy* policy : {sparse.get(), static_cast<Policy*>(&masked)}) {
      count_hits(*policy);
      read_on(*policy, stream, 300, {20, 1});
    }
    // Where two tokens weigh the same, the picks may differ.
    EXPECT_NEAR(cache_hit_rate(*sparse).value(), cache_hit_rate(masked).value(), 2e-3) << name;
  }
}

TEST(CacheHits, ArePolicysThatPickTokens) {
  const AttentionShape shape = test_shape({});
  const TestStream stream({}, 100);
  for (const char* name : {"full", "window", "tova"}) {
    const auto policy = make_policy(small_options(name), shape, nullptr);
    count_hits(*policy);
    read_on(*policy, stream, 100);
    EXPECT_FALSE(cache_hit_rate(*policy).has_value()) << name;
  }
}

}  // namespace
}  // namespace dsrasq::policy
