#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "dsrasq/core/buffer.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/sparse_attention.h"

namespace dsrasq::kernels {
namespace {

constexpr int32_t kMaxDistance = 6000;
constexpr int64_t kWindow = 512, kSinks = 4;

// Buffers, as the program's own memory: rows begin at cache lines.
Buffer<float> uniform(int64_t n, std::mt19937& rng) {
  std::uniform_real_distribution<float> distribution(-1, 1);
  Buffer<float> x(n);
  for (int64_t i = 0; i < n; ++i) x[i] = distribution(rng);
  return x;
}

Buffer<int8_t> codes(int64_t n, std::mt19937& rng) {
  Buffer<int8_t> x(n);
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<int8_t>(static_cast<int>(rng() % 255) - 127);
  return x;
}

/// A layer's memory at the end of a full pool, and queries with random selections.
struct Layer {
  Layer(int32_t n_heads, int32_t n_kv_heads, int32_t head_dim, int64_t n_queries, int64_t pool,
        int32_t n_selected, bool scatter)
      : H(n_heads), Hkv(n_kv_heads), D(head_dim), n(n_queries), n_slots(pool), k(n_selected) {
    n_sets = n == 1 ? 256 : 1;
    ring_k = uniform(Hkv * n_tiles() * 16 * D, rng);
    ring_v = uniform(Hkv * n_tiles() * 16 * D, rng);
    sinks = uniform(Hkv * kSinks * D, rng);
    q = uniform(n * H * D, rng);
    out = Buffer<float>(q.size());
    k_scale = uniform(Hkv * n_slots, rng);
    v_scale = uniform(Hkv * n_slots, rng);
    pool_k = codes(Hkv * n_slots * D, rng);
    pool_v = codes(Hkv * n_slots * D, rng);
    for (int64_t page = 0; page < n_slots / 16; ++page) first.push_back(page * 16);
    std::vector<double> inv_freq(static_cast<size_t>(D / 2));
    for (size_t c = 0; c < inv_freq.size(); ++c)
      inv_freq[c] = std::pow(10000.0, -2.0 * static_cast<double>(c) / D);
    cos = Buffer<float>((kMaxDistance + 1) * D / 2);
    sin = Buffer<float>(cos.size());
    fill_rope_table(inv_freq.data(), D / 2, kMaxDistance, cos.data(), sin.data());
    select(scatter);
  }

  int64_t n_tiles() const { return (kWindow + n) / 16 + 2; }

  /// With no `scatter`, as measured on text with the trained retriever: neighbouring queries share
  /// half of their sets, and a block of 512 reads some 3,000 tokens in all. Else anything anywhere.
  void select(bool scatter) {
    std::vector<int32_t> candidates(static_cast<size_t>(n_slots));
    std::iota(candidates.begin(), candidates.end(), 0);
    std::shuffle(candidates.begin(), candidates.end(), rng);
    if (!scatter) candidates.resize(3000);
    counts.assign(static_cast<size_t>(n * n_sets), k);
    std::set<int32_t> set;
    for (int64_t i = 0; i < n * n_sets; ++i) {
      for (auto slot = set.begin(); slot != set.end();)
        slot = scatter || rng() % 2 == 0 ? set.erase(slot) : std::next(slot);
      while (set.size() < static_cast<size_t>(k)) set.insert(candidates[rng() % candidates.size()]);
      selected.insert(selected.end(), set.begin(), set.end());
    }
  }

  SparseAttentionParams params() {
    return {.memory = {.ring = {ring_k.data(), ring_v.data(), n_tiles(), Hkv, D},
                       .sink_k = sinks.data(),
                       .sink_v = sinks.data(),
                       .n_sink = kSinks,
                       .pool_k = pool_k.data(),
                       .pool_v = pool_v.data(),
                       .pool_k_scale = k_scale.data(),
                       .pool_v_scale = v_scale.data(),
                       .page_first_position = first.data(),
                       .n_slots = n_slots},
            .rope = {cos.data(), sin.data(), kMaxDistance},
            .q = q.data(),
            .q_raw = q.data(),
            .out = out.data(),
            .n = n,
            .pos0 = n_slots + kWindow,
            .H = H,
            .window = kWindow,
            .scale = 0.125f,
            .k = k,
            .selected = selected.data(),
            .n_selected = counts.data()};
  }

  std::mt19937 rng{1};
  int32_t H, Hkv, D;
  int64_t n, n_slots, n_sets;  // calls with one query read one set after the other
  int32_t k;
  Buffer<float> ring_k, ring_v, sinks, q, out, k_scale, v_scale, cos, sin;
  Buffer<int8_t> pool_k, pool_v;
  std::vector<int64_t> first;
  std::vector<int32_t> selected, counts;
};

void attend(benchmark::State& state, int32_t H, int32_t Hkv, int32_t D) {
  set_num_threads(1);
  Layer layer(H, Hkv, D, state.range(0), state.range(1), static_cast<int32_t>(state.range(2)),
              state.range(3) != 0);
  SparseAttentionParams p = layer.params();
  int64_t set = 0;
  for (auto _ : state) {
    p.selected = layer.selected.data() + set++ % layer.n_sets * layer.n * layer.k;
    sparse_attention(p);
    benchmark::ClobberMemory();
  }
  const double flops = 4.0 * H * D * static_cast<double>(kWindow + kSinks + layer.k);
  const auto queries = static_cast<double>(state.iterations() * layer.n);
  state.counters["flop/s"] = benchmark::Counter(flops * queries, benchmark::Counter::kIsRate);
  state.counters["us_per_query"] =
      benchmark::Counter(queries * 1e-6, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// One thread. Arguments: queries a call, pool tokens, tokens selected a query, whether the sets
/// lie anywhere.
void smollm2_135m(benchmark::State& state) { attend(state, 9, 3, 64); }
void gemma3_270m(benchmark::State& state) { attend(state, 4, 1, 256); }

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"queries", "pool", "selected", "scatter"});
  for (const int64_t queries : {1, 512}) {
    benchmark->Args({queries, 16384, 0, 0});
    for (const int64_t pool : {16384, 131072})
      for (const int64_t scatter : {0, 1}) benchmark->Args({queries, pool, 256, scatter});
  }
}

BENCHMARK(smollm2_135m)->Apply(sizes);
BENCHMARK(gemma3_270m)->Apply(sizes);

}  // namespace
}  // namespace dsrasq::kernels
