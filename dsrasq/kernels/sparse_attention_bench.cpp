#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/sparse_attention.h"

namespace dsrasq::kernels {
namespace {

constexpr int32_t kHeads = 9, kKvHeads = 3, kHeadDim = 64, kMaxDistance = 6000;
constexpr int64_t kWindow = 512, kSinks = 4, kPool = 16384;

std::vector<float> uniform(int64_t n, std::mt19937& rng) {
  std::uniform_real_distribution<float> distribution(-1, 1);
  std::vector<float> x(n);
  for (float& value : x) value = distribution(rng);
  return x;
}

/// SmolLM2-135M's layer, one thread. Arguments: queries a call, tokens selected a query.
void attend(benchmark::State& state) {
  set_num_threads(1);
  const int64_t n = state.range(0), pos0 = kPool + kWindow;
  const auto k = static_cast<int32_t>(state.range(1));
  std::mt19937 rng(1);
  const int64_t n_tiles = (kWindow + n) / 16 + 2;
  std::vector<float> ring_k = uniform(kKvHeads * n_tiles * 16 * kHeadDim, rng), ring_v = ring_k;
  const std::vector<float> sinks = uniform(kKvHeads * kSinks * kHeadDim, rng);
  const std::vector<float> scale(kKvHeads * kPool, 0.01f), q = uniform(n * kHeads * kHeadDim, rng);
  std::vector<int8_t> pool(kKvHeads * kPool * kHeadDim);
  for (int8_t& c : pool) c = static_cast<int8_t>(static_cast<int>(rng() % 255) - 127);
  const std::vector<int8_t> pool_v = pool;
  std::vector<int64_t> first(kPool / 16);
  for (size_t page = 0; page < first.size(); ++page) first[page] = static_cast<int64_t>(page) * 16;
  std::vector<int32_t> selected(n * k), n_selected(n, k);
  for (int64_t i = 0; i < n; ++i) {
    for (int32_t s = 0; s < k; ++s) selected[i * k + s] = static_cast<int32_t>(rng() % kPool);
    std::sort(selected.begin() + i * k, selected.begin() + (i + 1) * k);
  }
  std::vector<double> inv_freq(kHeadDim / 2);
  for (size_t c = 0; c < inv_freq.size(); ++c)
    inv_freq[c] = std::pow(10000.0, -2.0 * static_cast<double>(c) / kHeadDim);
  std::vector<float> cos((kMaxDistance + 1) * kHeadDim / 2), sin(cos.size());
  fill_rope_table(inv_freq.data(), kHeadDim / 2, kMaxDistance, cos.data(), sin.data());
  std::vector<float> out(q.size());
  const SparseAttentionParams p{
      .memory = {.ring = {ring_k.data(), ring_v.data(), n_tiles, kKvHeads, kHeadDim},
                 .sink_k = sinks.data(),
                 .sink_v = sinks.data(),
                 .n_sink = kSinks,
                 .pool_k = pool.data(),
                 .pool_v = pool_v.data(),
                 .pool_k_scale = scale.data(),
                 .pool_v_scale = scale.data(),
                 .page_first_position = first.data(),
                 .n_slots = kPool},
      .rope = {cos.data(), sin.data(), kMaxDistance},
      .q = q.data(),
      .q_raw = q.data(),
      .out = out.data(),
      .n = n,
      .pos0 = pos0,
      .H = kHeads,
      .window = kWindow,
      .scale = 0.125f,
      .k = k,
      .selected = selected.data(),
      .n_selected = n_selected.data()};
  for (auto _ : state) {
    sparse_attention(p);
    benchmark::ClobberMemory();
  }
  const double flops = 4.0 * kHeads * kHeadDim * static_cast<double>(kWindow + kSinks + k);
  state.counters["flop/s"] = benchmark::Counter(flops * static_cast<double>(state.iterations() * n),
                                                benchmark::Counter::kIsRate);
  state.counters["us_per_query"] =
      benchmark::Counter(static_cast<double>(state.iterations() * n) * 1e-6,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(attend)
    ->ArgNames({"queries", "selected"})
    ->Args({1, 0})
    ->Args({1, 256})
    ->Args({256, 0})
    ->Args({256, 64})
    ->Args({256, 256});

}  // namespace
}  // namespace dsrasq::kernels
