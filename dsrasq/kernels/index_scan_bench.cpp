#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/index_scan.h"

namespace dsrasq::kernels {
namespace {

constexpr int kHeads = 4, kDim = 32, kTopK = 256;

/// One thread, so that the rate is that of one core. Arguments: pool tokens, queries a call,
/// whether log_mass is wanted.
void select(benchmark::State& state) {
  set_num_threads(1);
  const int64_t n_pages = state.range(0) / kPageTokens, n = state.range(1);
  std::mt19937 rng(1);
  std::vector<int8_t> keys(n_pages * kPageTokens * kDim), codes(n * kHeads * kDim);
  for (int8_t& c : keys) c = static_cast<int8_t>(static_cast<int>(rng() % 255) - 127);
  for (int8_t& c : codes) c = static_cast<int8_t>(static_cast<int>(rng() % 127) - 63);
  const std::vector<float> key_scale(n_pages * kPageTokens, 0.01f), ones(n * kHeads, 0.02f);
  std::vector<int64_t> first(n_pages);
  for (int64_t page = 0; page < n_pages; ++page) first[page] = page * kPageTokens;
  const std::vector<int32_t> count(n_pages, kPageTokens);
  const std::vector<int64_t> limit(n, n_pages * kPageTokens);
  const IndexPool pool{keys.data(), key_scale.data(), first.data(), count.data(), n_pages, kDim};
  IndexQueries queries{codes.data(), ones.data(), ones.data(), limit.data()};
  queries.n = n;
  queries.n_heads = kHeads;
  std::vector<int32_t> selected(n * kTopK), n_selected(n);
  std::vector<float> mass(n);
  const Selection out{selected.data(), n_selected.data(), nullptr,
                      state.range(2) != 0 ? mass.data() : nullptr};
  for (auto _ : state) {
    select_top_k(pool, queries, kTopK, out);
    benchmark::ClobberMemory();
  }
  const double operations = 2.0 * kHeads * kDim * static_cast<double>(state.range(0) * n);
  state.SetLabel(index_scan_target());
  state.counters["op/s"] = benchmark::Counter(operations * static_cast<double>(state.iterations()),
                                              benchmark::Counter::kIsRate);
  state.counters["us_per_query"] =
      benchmark::Counter(static_cast<double>(state.iterations() * n) * 1e-6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(select)
    ->ArgNames({"keys", "queries", "mass"})
    ->Args({16384, 64, 0})
    ->Args({16384, 64, 1})
    ->Args({16384, 1, 0})
    ->Args({131072, 64, 0});

}  // namespace
}  // namespace dsrasq::kernels
