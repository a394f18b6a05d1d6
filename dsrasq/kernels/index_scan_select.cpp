// The part of the index scan that is the same on every instruction set: tiles of queries, ranges of
// pages, threads, and what is written in the end.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/kernels/index_scan_state.h"
#include "dsrasq/kernels/scratch.h"

namespace dsrasq::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

std::vector<int32_t> find_page_order(const IndexPool& pool) {
  std::vector<int32_t> order;
  order.reserve(static_cast<size_t>(pool.n_pages));
  for (int64_t page = 0; page < pool.n_pages; ++page)
    if (pool.page_count[page] > 0) order.push_back(static_cast<int32_t>(page));
  const auto is_earlier = [&](int32_t a, int32_t b) {
    return pool.page_first_position[a] < pool.page_first_position[b];
  };
  if (!std::is_sorted(order.begin(), order.end(), is_earlier))
    std::sort(order.begin(), order.end(), is_earlier);
  return order;
}

void start_query(const IndexPool& pool, const IndexQueries& queries, int64_t i, ScanQuery& query) {
  const int heads = queries.n_heads;
  const int8_t* codes = queries.codes + i * heads * pool.dim;
  std::memcpy(query.codes, codes, static_cast<size_t>(heads) * pool.dim);
  for (int h = 0; h < heads; ++h) {
    query.bias[h] = -128 * std::accumulate(codes + h * pool.dim, codes + (h + 1) * pool.dim, 0);
    query.weight[h] = queries.weight[i * heads + h] * queries.scale[i * heads + h];
  }
  auto* raised = reinterpret_cast<uint8_t*>(query.raised);
  for (int c = 0; c < heads * pool.dim; ++c) raised[c] = static_cast<uint8_t>(codes[c] + 64);
  query.limit = std::max<int64_t>(queries.limit[i], -1);
  query.wants_mass = false;
  std::fill_n(query.lane_max, kPageTokens, kMinusInfinity);
  std::fill_n(query.lane_sum, kPageTokens, 0.0f);
}

// log x for x > 0, by log x = e ln 2 + 2 artanh((m - 1) / (m + 1)): the C library's differs in its
// last bit from one instruction set to another.
float log_of(float x) {
  int exponent = 0;
  double m = std::frexp(static_cast<double>(x), &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1), square = s * s;
  double series = 0;
  for (int odd = 21; odd >= 1; odd -= 2) series = series * square + 1.0 / odd;
  return static_cast<float>(exponent * 0.69314718055994531 + 2 * s * series);
}

/// One call of `select_top_k`.
class Selector {
 public:
  Selector(const IndexPool& pool, const IndexQueries& queries, int32_t k, const Selection& out)
      : pool_(pool), queries_(queries), out_(out), scan_(index_scan_functions()), k_(k) {
    order_ = pool.page_order;
    n_ordered_ = pool.n_ordered;
    if (order_ == nullptr) {
      own_order_ = find_page_order(pool);
      order_ = own_order_.data();
      n_ordered_ = static_cast<int64_t>(own_order_.size());
    }
    capacity_ = (2 * k + 271) / 16 * 16;
    n_chunks_ = (n_ordered_ + kScanChunkPages - 1) / kScanChunkPages;
  }

  void run() {
    const int64_t n_tiles = (queries_.n + kScanQueries - 1) / kScanQueries;
    const bool splits = n_tiles < num_threads() && n_chunks_ > 1;
    const int64_t n_ranges = splits ? n_chunks_ : 1;
    const int64_t chunks_a_range = splits ? 1 : n_chunks_;
    std::vector<Found> found(static_cast<size_t>(queries_.n * n_ranges));
    parallel_for(n_tiles * n_ranges, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t tile = item / n_ranges, range = item % n_ranges;
        const int64_t chunk = range * chunks_a_range;
        scan_range(tile, chunk, chunk + chunks_a_range, range, n_ranges, found.data());
      }
    });
    if (n_ranges == 1) return;
    for (int64_t i = 0; i < queries_.n; ++i) join(i, found.data() + i * n_ranges, n_ranges);
  }

 private:
  /// What one range of chunks gave for one query, until the ranges are joined.
  struct Found {
    std::vector<float> z;
    std::vector<int32_t> slot;
    LogMass mass{kMinusInfinity, 0};
  };

  bool is_active(int64_t i) const { return queries_.active == nullptr || queries_.active[i] != 0; }

  void lend_buffers(ScanQuery& query, int32_t capacity, float* memory) const {
    query.k = k_;
    query.n = 0;
    query.capacity = capacity;
    query.z = memory;
    query.slot = reinterpret_cast<int32_t*>(memory + capacity + 16);
    query.rank = query.slot + capacity + 16;
  }

  static int64_t buffer_size(int32_t capacity) { return 3 * (capacity + 16); }

  void scan_range(int64_t tile, int64_t first_chunk, int64_t last_chunk, int64_t range,
                  int64_t n_ranges, Found* found) const {
    thread_local Scratch scratch;
    auto* memory = scratch.get<float>(kScanQueries * buffer_size(capacity_));
    ScanQuery tile_queries[kScanQueries];
    int64_t index[kScanQueries];
    int n = 0;
    const int64_t end = std::min(queries_.n, (tile + 1) * kScanQueries);
    for (int64_t i = tile * kScanQueries; i < end; ++i) {
      if (!is_active(i)) {
        if (range == 0) write(i, nullptr, nullptr, 0, Found{}.mass);
        continue;
      }
      ScanQuery& query = tile_queries[n];
      start_query(pool_, queries_, i, query);
      lend_buffers(query, capacity_, memory + n * buffer_size(capacity_));
      query.threshold = k_ == 0                         ? std::numeric_limits<float>::infinity()
                        : queries_.threshold != nullptr ? queries_.threshold[i]
                                                        : kMinusInfinity;
      query.wants_mass = out_.log_mass != nullptr;
      index[n++] = i;
    }
    for (int64_t chunk = first_chunk; chunk < last_chunk && n > 0; ++chunk) {
      const int64_t begin = chunk * kScanChunkPages;
      scan_.collect({&pool_, order_, begin, std::min(begin + kScanChunkPages, n_ordered_),
                     tile_queries, n, queries_.n_heads});
      for (int q = 0; q < n && out_.log_mass != nullptr; ++q) {
        LogMass& mass = found[index[q] * n_ranges + range].mass;
        mass = scan_.add_mass(mass, scan_.take_mass(tile_queries[q]));
      }
    }
    for (int q = 0; q < n; ++q) {
      ScanQuery& query = tile_queries[q];
      scan_.thin(query);
      Found& mine = found[index[q] * n_ranges + range];
      if (n_ranges == 1) {
        write(index[q], query.z, query.slot, query.n, mine.mass);
      } else {
        mine.z.assign(query.z, query.z + query.n);
        mine.slot.assign(query.slot, query.slot + query.n);
      }
    }
  }

  void join(int64_t i, const Found* found, int64_t n_ranges) const {
    if (!is_active(i)) return;
    size_t total = 0;
    LogMass mass = Found{}.mass;
    for (int64_t r = 0; r < n_ranges; ++r) {
      total += found[r].z.size();
      if (out_.log_mass != nullptr) mass = scan_.add_mass(mass, found[r].mass);
    }
    const auto capacity = static_cast<int32_t>(total + 16);
    thread_local Scratch scratch;
    ScanQuery query;
    lend_buffers(query, capacity, scratch.get<float>(buffer_size(capacity)));
    for (int64_t r = 0; r < n_ranges; ++r) {
      std::copy(found[r].z.begin(), found[r].z.end(), query.z + query.n);
      std::copy(found[r].slot.begin(), found[r].slot.end(), query.slot + query.n);
      query.n += static_cast<int32_t>(found[r].z.size());
    }
    scan_.thin(query);
    write(i, query.z, query.slot, query.n, mass);
  }

  void write(int64_t i, const float* z, const int32_t* slot, int32_t n, LogMass mass) const {
    out_.n_selected[i] = n;
    std::copy_n(slot, n, out_.selected + i * k_);
    std::fill(out_.selected + i * k_ + n, out_.selected + (i + 1) * k_, -1);
    if (out_.scores != nullptr) {
      std::copy_n(z, n, out_.scores + i * k_);
      std::fill(out_.scores + i * k_ + n, out_.scores + (i + 1) * k_, kMinusInfinity);
    }
    if (out_.log_mass != nullptr)
      out_.log_mass[i] = mass.sum > 0 ? mass.max + log_of(mass.sum) : kMinusInfinity;
  }

  const IndexPool& pool_;
  const IndexQueries& queries_;
  const Selection& out_;
  const ScanFunctions& scan_;
  std::vector<int32_t> own_order_;
  const int32_t* order_ = nullptr;
  int64_t n_ordered_ = 0, n_chunks_ = 0;
  int32_t k_, capacity_ = 0;
};

// Scores of all pages for queries [first, first + n_queries), one row of slots a query.
void score_tile(const IndexPool& pool, const IndexQueries& queries, int64_t first,
                int64_t n_queries, const int32_t* order, float* z) {
  ScanQuery tile[kScanQueries];
  for (int64_t q = 0; q < n_queries; ++q) start_query(pool, queries, first + q, tile[q]);
  index_scan_functions().score(
      {&pool, order, 0, pool.n_pages, tile, static_cast<int>(n_queries), queries.n_heads}, z,
      pool.n_pages * kPageTokens);
}

}  // namespace

IndexPool pages_of(const IndexPool& pool, int64_t first_page, int64_t n_pages) {
  return {.keys = pool.keys + first_page * kPageTokens * pool.dim,
          .key_scale = pool.key_scale + first_page * kPageTokens,
          .page_first_position = pool.page_first_position + first_page,
          .page_count = pool.page_count + first_page,
          .n_pages = n_pages,
          .dim = pool.dim};
}

void pack_index_key(int8_t* page_keys, int lane, const int8_t* key, int dim) {
  for (int c = 0; c < dim; c += 4)
    std::memcpy(page_keys + (c / 4 * kPageTokens + lane) * 4, key + c, 4);
}

void select_top_k(const IndexPool& pool, const IndexQueries& queries, int32_t k,
                  const Selection& out) {
  Selector(pool, queries, k, out).run();
}

void index_scores(const IndexPool& pool, const IndexQueries& queries, float* scores) {
  std::vector<int32_t> order(static_cast<size_t>(pool.n_pages));
  std::iota(order.begin(), order.end(), 0);
  parallel_for(queries.n, kScanQueries, [&](int64_t begin, int64_t end) {
    score_tile(pool, queries, begin, end - begin, order.data(),
               scores + begin * pool.n_pages * kPageTokens);
  });
}

}  // namespace dsrasq::kernels
