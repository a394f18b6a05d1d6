#include "dsrasq/cuda/index_scan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "dsrasq/cuda/index_rows.h"
#include "dsrasq/cuda/test_device.h"
#include "dsrasq/kernels/index_scan.h"

namespace dsrasq::cuda {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Shape {
  int n_heads, dim, k, key_range;
  int64_t first, n, window, pool;
};

// A ring full of random keys and random queries; `expected` reads them by the CPU's reference.
class Case {
 public:
  explicit Case(const Shape& shape)
      : shape_(shape),
        rule_{.window = shape.window, .pool = shape.pool, .block = 128, .sinks = 4},
        capacity_(rule_.capacity_for(shape.n)),
        padded_(padded_heads(shape.n_heads)),
        rng_(static_cast<uint32_t>(shape.k * 31 + shape.dim + shape.n_heads)) {
    const bool has_ties = shape.key_range < 8;
    key_.resize(static_cast<size_t>(capacity_ * shape.dim));
    for (int8_t& c : key_) c = code(127);
    for (int64_t i = 0; i < capacity_; ++i)
      key_scale_.push_back(has_ties ? 0.5f : static_cast<float>(uniform(1, 1000)) * 1e-4f);
    query_.resize(static_cast<size_t>(shape.n * padded_ * shape.dim));
    for (int64_t i = 0; i < shape.n * padded_; ++i) {
      const bool is_head = i % padded_ < shape.n_heads;
      for (int c = 0; c < shape.dim; ++c)
        query_[static_cast<size_t>(i * shape.dim + c)] = is_head ? code(63) : int8_t{0};
      weight_.push_back(!is_head   ? 0.0f
                        : has_ties ? 1.0f
                                   : static_cast<float>(uniform(-300, 1000)) * 1e-3f);
    }
  }

  struct Found {
    std::vector<int32_t> selected, n_selected;
    std::vector<float> scores, log_mass;
  };

  Found scan(bool best_first) const { return scan(best_first, 0, shape_.n); }

  // Of `count` queries from `from` on; by many blocks each where that is possible and asked for.
  Found scan(bool best_first, int64_t from, int64_t count, bool is_shared = false) const {
    const DeviceArray<int8_t> query(query_), key(key_);
    const DeviceArray<float> weight(weight_), key_scale(key_scale_);
    const auto n = static_cast<size_t>(count), k = static_cast<size_t>(shape_.k);
    const DeviceArray<int32_t> selected(n * k), n_selected(n);
    const DeviceArray<float> scores(n * k), log_mass(n);
    IndexScan scan{.query = query.data() + from * padded_ * shape_.dim,
                   .weight = weight.data() + from * padded_,
                   .padded_heads = padded_,
                   .dim = shape_.dim,
                   .key = key.data(),
                   .key_scale = key_scale.data(),
                   .capacity = capacity_,
                   .rule = rule_,
                   .n = count,
                   .first = shape_.first + from,
                   .k = shape_.k,
                   .best_first = best_first,
                   .selected = selected.data(),
                   .n_selected = n_selected.data(),
                   .scores = scores.data(),
                   .log_mass = log_mass.data(),
                   .scratch = nullptr};
    const int64_t bytes = is_shared ? scan_scratch_bytes(scan) : 0;
    EXPECT_EQ(is_shared, bytes > 0);
    const DeviceArray<uint64_t> scratch(static_cast<size_t>(bytes / 8 + 1));
    if (is_shared) scan.scratch = scratch.data();
    select_top_k(scan, nullptr);
    return {selected.host(), n_selected.host(), scores.host(), log_mass.host()};
  }

  // Of query i: rows by ascending position, scores, log mass.
  Found expected(int64_t i) const {
    const int64_t position = shape_.first + i, begin = rule_.first(position),
                  end = std::max(begin, rule_.end(position));
    const int64_t n_pages = (end - begin + 15) / 16, dim = shape_.dim;
    std::vector<int8_t> keys(static_cast<size_t>(std::max<int64_t>(1, n_pages) * 16 * dim));
    std::vector<float> scales(static_cast<size_t>(n_pages * 16));
    std::vector<int64_t> firsts;
    std::vector<int32_t> counts;
    for (int64_t page = 0; page < n_pages; ++page) {
      firsts.push_back(begin + page * 16);
      counts.push_back(static_cast<int32_t>(std::min<int64_t>(16, end - firsts.back())));
      for (int lane = 0; lane < counts.back(); ++lane) {
        const int64_t row = (firsts.back() + lane) % capacity_;
        kernels::pack_index_key(keys.data() + page * 16 * dim, lane, key_.data() + row * dim,
                                static_cast<int>(dim));
        scales[static_cast<size_t>(page * 16 + lane)] = key_scale_[static_cast<size_t>(row)];
      }
    }
    const std::vector<float> ones(static_cast<size_t>(padded_), 1.0f);
    const int64_t limit = position;
    Found found{std::vector<int32_t>(static_cast<size_t>(shape_.k)),
                {0},
                std::vector<float>(static_cast<size_t>(shape_.k)),
                {0}};
    kernels::select_top_k_ref({.keys = keys.data(),
                               .key_scale = scales.data(),
                               .page_first_position = firsts.data(),
                               .page_count = counts.data(),
                               .n_pages = n_pages,
                               .dim = static_cast<int32_t>(dim)},
                              {.codes = query_.data() + i * padded_ * dim,
                               .scale = ones.data(),
                               .weight = weight_.data() + i * padded_,
                               .limit = &limit,
                               .n = 1,
                               .n_heads = padded_},
                              shape_.k,
                              {found.selected.data(), found.n_selected.data(), found.scores.data(),
                               found.log_mass.data()});
    for (int32_t& slot : found.selected)
      if (slot >= 0) slot = static_cast<int32_t>((begin + slot) % capacity_);
    return found;
  }

 private:
  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng_); }
  int8_t code(int most) {
    const int range = std::min(most, shape_.key_range);
    return static_cast<int8_t>(uniform(-range, range));
  }

  Shape shape_;
  PoolRule rule_;
  int64_t capacity_;
  int32_t padded_;
  std::mt19937 rng_;
  std::vector<int8_t> key_, query_;
  std::vector<float> key_scale_, weight_;
};

using CudaIndexScan = GpuTest;

void expect_reference(const Shape& shape, const Case& scan_case, const Case::Found& got,
                      int64_t every = 1) {
  for (int64_t i = 0; i < shape.n; i += every) {
    const Case::Found want = scan_case.expected(i);
    ASSERT_EQ(got.n_selected[static_cast<size_t>(i)], want.n_selected[0])
        << "query " << i << ", k " << shape.k << ", first " << shape.first;
    for (int s = 0; s < shape.k; ++s) {
      const auto at = static_cast<size_t>(i * shape.k + s), own = static_cast<size_t>(s);
      ASSERT_EQ(got.selected[at], want.selected[own])
          << "query " << i << ", place " << s << ", k " << shape.k << ", dim " << shape.dim;
      ASSERT_EQ(got.scores[at], want.scores[own]);
    }
    if (want.n_selected[0] == 0)
      EXPECT_EQ(got.log_mass[static_cast<size_t>(i)], kMinusInfinity);
    else
      EXPECT_NEAR(got.log_mass[static_cast<size_t>(i)], want.log_mass[0],
                  1e-4 * std::abs(want.log_mass[0]) + 1e-4);
  }
}

void expect_best_first(const Case::Found& by_place, const Case::Found& by_score,
                       const Shape& shape) {
  for (size_t i = 0; i < static_cast<size_t>(shape.n); ++i) {
    std::vector<float> scores(by_place.scores.begin() + static_cast<int64_t>(i) * shape.k,
                              by_place.scores.begin() + static_cast<int64_t>(i + 1) * shape.k);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    for (size_t s = 0; s < scores.size(); ++s)
      ASSERT_EQ(by_score.scores[i * scores.size() + s], scores[s]) << "query " << i;
  }
}

TEST_F(CudaIndexScan, PicksTheSetsOfTheReferenceBitForBit) {
  const Shape shapes[] = {{4, 32, 64, 127, 100'003, 70, 64, 3000},
                          {3, 32, 256, 127, 50'000, 33, 512, 5000},
                          {8, 64, 16, 127, 1'000'000'000'001, 16, 40, 700},
                          {4, 64, 100, 127, 20'000, 9, 64, 3000},
                          {8, 32, 700, 127, 20'000, 9, 64, 3000},
                          {1, 64, 1, 127, 7777, 5, 100, 900},
                          {4, 32, 64, 2, 100'003, 40, 64, 3000},
                          {4, 32, 300, 1, 30'000, 20, 64, 2500},
                          {4, 32, 1000, 127, 9000, 20, 64, 4096},
                          {4, 32, 64, 127, 0, 200, 64, 3000},
                          {4, 32, 64, 127, 90'000, 1, 512, 16384},
                          {4, 32, 256, 127, 90'000, 2, 512, 40'000}};
  for (const Shape& shape : shapes) {
    const Case scan_case(shape);
    expect_reference(shape, scan_case, scan_case.scan(false));
  }
}

TEST_F(CudaIndexScan, ManyBlocksPickTheSame) {
  const Shape shapes[] = {
      {4, 32, 256, 127, 90'000, 1, 512, 16384}, {4, 32, 64, 127, 20'000, 19, 64, 3000},
      {8, 64, 1024, 127, 90'000, 1, 512, 9000}, {4, 32, 300, 1, 30'000, 3, 64, 2500},
      {4, 32, 1, 2, 70'000, 1, 64, 40'000},     {3, 32, 256, 127, 1200, 2, 64, 3000}};
  for (const Shape& shape : shapes) {
    const Case scan_case(shape);
    expect_reference(shape, scan_case, scan_case.scan(false, 0, shape.n, true));
  }
}

TEST_F(CudaIndexScan, LongCallsPickTheSame) {
  for (const int k : {256, 1024}) {
    const Shape shape{4, 32, k, 127, 122'880, 8192, 512, 16384};
    const Case scan_case(shape);
    const Case::Found by_place = scan_case.scan(false);
    expect_reference(shape, scan_case, by_place, 509);
    expect_best_first(by_place, scan_case.scan(true), shape);
  }
}

TEST_F(CudaIndexScan, PutsTheBestFirstWhenAsked) {
  const Shape shape{4, 32, 100, 127, 20'000, 33, 64, 3000};
  const Case scan_case(shape);
  expect_best_first(scan_case.scan(false), scan_case.scan(true), shape);
}

TEST_F(CudaIndexScan, IsTheSameForAnyDivisionIntoCalls) {
  const Shape whole{4, 32, 64, 127, 40'000, 64, 64, 3000};
  const Case scan_case(whole);
  const Case::Found once = scan_case.scan(false), again = scan_case.scan(false);
  EXPECT_EQ(once.selected, again.selected);
  std::vector<int32_t> in_parts;
  for (const auto& [from, count] : {std::pair<int64_t, int64_t>{0, 1}, {1, 40}, {41, 23}}) {
    const std::vector<int32_t> part = scan_case.scan(false, from, count).selected;
    in_parts.insert(in_parts.end(), part.begin(), part.end());
  }
  EXPECT_EQ(in_parts, once.selected);
}

}  // namespace
}  // namespace dsrasq::cuda
