#include "dsrasq/kernels/index_scan.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "dsrasq/core/parallel.h"

namespace dsrasq::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// A pool in shuffled page order with free and part-filled pages, and queries.
struct Case {
  Case(int64_t n_pages, int dim, int n_heads, int64_t n_queries, int key_range, uint32_t seed)
      : rng(seed) {
    keys.resize(n_pages * kPageTokens * dim);
    key_scale.resize(n_pages * kPageTokens);
    first_position.resize(n_pages);
    count.resize(n_pages);
    std::vector<int64_t> places(n_pages * 2);
    std::iota(places.begin(), places.end(), 0);
    std::shuffle(places.begin(), places.end(), rng);
    std::vector<int8_t> key(dim);
    for (int64_t page = 0; page < n_pages; ++page) {
      first_position[page] = places[page] * kPageTokens + 16'000'000'000;
      count[page] = page % 7 == 3 ? 0 : page % 5 == 1 ? uniform(1, 15) : 16;
      for (int lane = 0; lane < kPageTokens; ++lane) {
        for (int8_t& c : key) c = static_cast<int8_t>(uniform(-key_range, key_range));
        pack_index_key(keys.data() + page * kPageTokens * dim, lane, key.data(), dim);
        key_scale[page * kPageTokens + lane] = key_range < 8 ? 0.5f : uniform(1, 1000) * 1e-4f;
      }
    }
    codes.resize(n_queries * n_heads * dim);
    for (int8_t& c : codes)
      c = static_cast<int8_t>(uniform(-std::min(63, key_range), std::min(63, key_range)));
    for (int64_t i = 0; i < n_queries * n_heads; ++i) {
      query_scale.push_back(key_range < 8 ? 1.0f : uniform(1, 1000) * 1e-4f);
      weight.push_back(key_range < 8 ? 1.0f : uniform(-300, 1000) * 1e-3f);
    }
    for (int64_t i = 0; i < n_queries; ++i)
      limit.push_back(16'000'000'000 + uniform(0, static_cast<int>(n_pages) * 32));
    pool = {.keys = keys.data(),
            .key_scale = key_scale.data(),
            .page_first_position = first_position.data(),
            .page_count = count.data(),
            .n_pages = n_pages,
            .dim = dim};
    queries = {.codes = codes.data(),
               .scale = query_scale.data(),
               .weight = weight.data(),
               .limit = limit.data(),
               .n = n_queries,
               .n_heads = n_heads};
  }

  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); }

  std::mt19937 rng;
  std::vector<int8_t> keys, codes;
  std::vector<float> key_scale, query_scale, weight;
  std::vector<int64_t> first_position, limit;
  std::vector<int32_t> count;
  IndexPool pool{};
  IndexQueries queries{};
};

struct Found {
  Found(int64_t n, int32_t k) : selected(n * k), n_selected(n), scores(n * k), log_mass(n) {}
  Selection out() { return {selected.data(), n_selected.data(), scores.data(), log_mass.data()}; }
  std::vector<int32_t> selected, n_selected;
  std::vector<float> scores, log_mass;
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

void expect_same(const Found& got, const Found& want) {
  EXPECT_EQ(got.n_selected, want.n_selected);
  EXPECT_EQ(got.selected, want.selected);
  EXPECT_TRUE(same_bits(got.scores, want.scores));
}

IndexQueries slice(const IndexQueries& all, int dim, int64_t first, int64_t n) {
  IndexQueries part = all;
  part.codes += first * all.n_heads * dim;
  part.scale += first * all.n_heads;
  part.weight += first * all.n_heads;
  part.limit += first;
  if (part.threshold != nullptr) part.threshold += first;
  if (part.active != nullptr) part.active += first;
  part.n = n;
  return part;
}

/// Runs `body` with every instruction set of this machine.
template <class Body>
void on_every_target(const Body& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    for (const bool vnni : {false, true}) {
      allow_index_scan_vnni(vnni);
      SCOPED_TRACE(index_scan_target());
      body();
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

struct Dims {
  int64_t n_pages;
  int dim, n_heads;
  int64_t n_queries;
  int32_t k;
  int key_range;  ///< below 8: small integers, so that very many scores are equal
  friend std::ostream& operator<<(std::ostream& out, const Dims& s) {
    return out << "pages" << s.n_pages << "_dim" << s.dim << "_heads" << s.n_heads << "_n"
               << s.n_queries << "_k" << s.k << "_range" << s.key_range;
  }
};

class IndexScan : public testing::TestWithParam<Dims> {
 protected:
  void TearDown() override { set_num_threads(2); }
};

TEST_P(IndexScan, SelectionIsBitEqualToTheReferenceOnEveryInstructionSet) {
  const Dims s = GetParam();
  Case c(s.n_pages, s.dim, s.n_heads, s.n_queries, s.key_range, 1);
  Found want(s.n_queries, s.k);
  select_top_k_ref(c.pool, c.queries, s.k, want.out());
  std::vector<float> first_mass;
  on_every_target([&] {
    Found got(s.n_queries, s.k);
    select_top_k(c.pool, c.queries, s.k, got.out());
    expect_same(got, want);
    for (int64_t i = 0; i < s.n_queries; ++i) {
      if (want.log_mass[i] > kMinusInfinity) {
        EXPECT_NEAR(got.log_mass[i], want.log_mass[i], 2e-5f * (1 + std::abs(want.log_mass[i])));
      } else {
        EXPECT_EQ(got.log_mass[i], kMinusInfinity);
      }
    }
    if (first_mass.empty()) first_mass = got.log_mass;
    EXPECT_TRUE(same_bits(got.log_mass, first_mass));
  });
}

TEST_P(IndexScan, SelectionDoesNotDependOnTheCallsOrOnTheThreads) {
  const Dims s = GetParam();
  Case c(s.n_pages, s.dim, s.n_heads, s.n_queries, s.key_range, 2);
  set_num_threads(1);
  Found want(s.n_queries, s.k);
  select_top_k(c.pool, c.queries, s.k, want.out());
  for (const int n_threads : {1, 4}) {
    set_num_threads(n_threads);
    for (const int64_t step : {int64_t{1}, int64_t{3}, s.n_queries}) {
      Found got(s.n_queries, s.k);
      for (int64_t i = 0; i < s.n_queries; i += step) {
        const IndexQueries part = slice(c.queries, s.dim, i, std::min(step, s.n_queries - i));
        select_top_k(c.pool, part, s.k,
                     {got.selected.data() + i * s.k, got.n_selected.data() + i,
                      got.scores.data() + i * s.k, got.log_mass.data() + i});
      }
      expect_same(got, want);
      EXPECT_TRUE(same_bits(got.log_mass, want.log_mass)) << n_threads << " threads, " << step;
    }
  }
}

TEST_P(IndexScan, ScoresAreBitEqualToTheReferenceAlsoOfSomePages) {
  const Dims s = GetParam();
  Case c(s.n_pages, s.dim, s.n_heads, s.n_queries, s.key_range, 3);
  const int64_t row = s.n_pages * kPageTokens, last = s.n_pages - 1;
  std::vector<float> want(s.n_queries * row);
  index_scores_ref(c.pool, c.queries, want.data());
  on_every_target([&] {
    std::vector<float> got(want.size()), of_last(s.n_queries * kPageTokens);
    index_scores(c.pool, c.queries, got.data());
    EXPECT_TRUE(same_bits(got, want));
    index_scores(pages_of(c.pool, last, 1), c.queries, of_last.data());
    for (int64_t i = 0; i < s.n_queries; ++i)
      EXPECT_EQ(
          std::memcmp(of_last.data() + i * kPageTokens, want.data() + i * row + last * kPageTokens,
                      kPageTokens * sizeof(float)),
          0)
          << "query " << i;
  });
}

TEST_P(IndexScan, ThresholdSkipGateAndGivenPageOrderAreObeyed) {
  const Dims s = GetParam();
  Case c(s.n_pages, s.dim, s.n_heads, s.n_queries, s.key_range, 4);
  std::vector<float> threshold(s.n_queries);
  std::vector<uint8_t> active(s.n_queries);
  for (int64_t i = 0; i < s.n_queries; ++i) {
    threshold[i] = i % 4 == 0 ? kMinusInfinity : static_cast<float>(c.uniform(0, 30)) * 0.5f;
    active[i] = i % 3 != 1;
  }
  std::vector<int32_t> order;
  for (int32_t page = 0; page < s.n_pages; ++page)
    if (c.count[page] > 0) order.push_back(page);
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return c.first_position[a] < c.first_position[b]; });
  c.queries.threshold = threshold.data();
  c.queries.active = active.data();
  Found want(s.n_queries, s.k), got(s.n_queries, s.k);
  select_top_k_ref(c.pool, c.queries, s.k, want.out());
  c.pool.page_order = order.data();
  c.pool.n_ordered = static_cast<int64_t>(order.size());
  select_top_k(c.pool, c.queries, s.k, got.out());
  expect_same(got, want);
}

INSTANTIATE_TEST_SUITE_P(Shapes, IndexScan,
                         testing::Values(Dims{1, 32, 4, 3, 4, 127}, Dims{40, 32, 4, 19, 7, 127},
                                         Dims{40, 32, 4, 19, 64, 1}, Dims{90, 16, 1, 9, 256, 3},
                                         Dims{33, 64, 8, 5, 33, 127}, Dims{65, 48, 3, 11, 1, 2},
                                         Dims{1200, 32, 4, 2, 256, 127},
                                         Dims{1200, 32, 4, 2, 300, 1}),
                         testing::PrintToStringParamName());

TEST(IndexScanEdges, ExtremeCodesDoNotOverflowOnAnyInstructionSet) {
  for (const int sign : {-1, 1}) {
    std::vector<int8_t> keys(kPageTokens * 32), codes(4 * 32, 63);
    const std::vector<int8_t> key(32, static_cast<int8_t>(sign * 127));
    for (int lane = 0; lane < kPageTokens; ++lane)
      pack_index_key(keys.data(), lane, key.data(), 32);
    for (int8_t& c : codes) c = static_cast<int8_t>(sign * c);
    const std::vector<float> ones(kPageTokens, 1.0f);
    const int64_t first = 0, limit = std::numeric_limits<int64_t>::max();
    const int32_t count = kPageTokens;
    const IndexPool pool{keys.data(), ones.data(), &first, &count, 1, 32};
    IndexQueries queries{codes.data(), ones.data(), ones.data(), &limit};
    queries.n = 1;
    on_every_target([&] {
      std::vector<float> z(kPageTokens);
      index_scores(pool, queries, z.data());
      for (const float value : z) EXPECT_EQ(value, 4.0f * 32 * 63 * 127);
    });
  }
}

TEST(IndexScanEdges, AnEmptyPoolAndATopKOfZeroSelectNothing) {
  Case c(4, 32, 4, 2, 127, 5);
  Found none(2, 0);
  select_top_k(c.pool, c.queries, 0, none.out());
  EXPECT_EQ(none.n_selected, (std::vector<int32_t>{0, 0}));
  EXPECT_GT(none.log_mass[0], kMinusInfinity);
  c.pool.n_pages = 0;
  Found empty(2, 3);
  select_top_k(c.pool, c.queries, 3, empty.out());
  EXPECT_EQ(empty.n_selected, (std::vector<int32_t>{0, 0}));
  EXPECT_EQ(empty.selected, std::vector<int32_t>(6, -1));
  EXPECT_EQ(empty.log_mass[1], kMinusInfinity);
}

}  // namespace
}  // namespace dsrasq::kernels
