#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/dense_attention.h"

namespace dsrasq::kernels {
namespace {

/// SmolLM2-135M's layer over 8,192 tokens, one thread. Argument: queries a call.
void attend(benchmark::State& state) {
  set_num_threads(1);
  constexpr int32_t H = 9, Hkv = 3, D = 64;
  constexpr int64_t kTokens = 8192;
  const int64_t n = state.range(0), n_tiles = kTokens / kTileTokens;
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> k(Hkv * kTokens * D), q(n * H * D), out(q.size());
  for (float& x : k) x = uniform(rng);
  for (float& x : q) x = uniform(rng);
  std::vector<float> v = k;
  const DenseAttentionParams p{.cache = {k.data(), v.data(), n_tiles, Hkv, D},
                               .q = q.data(),
                               .out = out.data(),
                               .n = n,
                               .pos0 = kTokens - n,
                               .H = H,
                               .scale = 0.125f};
  for (auto _ : state) {
    dense_attention(p);
    benchmark::ClobberMemory();
  }
  const double seen = static_cast<double>(n) * static_cast<double>(kTokens - n / 2);
  const auto runs = static_cast<double>(state.iterations());
  state.counters["flop/s"] =
      benchmark::Counter(4.0 * H * D * seen * runs, benchmark::Counter::kIsRate);
  state.counters["key_bytes/s"] =
      benchmark::Counter(8.0 * Hkv * D * kTokens * runs, benchmark::Counter::kIsRate);
}

BENCHMARK(attend)->ArgName("queries")->Arg(1)->Arg(64)->Arg(512);

}  // namespace
}  // namespace dsrasq::kernels
