#include "dsrasq/kernels/rows.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace dsrasq::kernels {
namespace {

// SmolLM2-135M: width 576, 12 heads of 64 in q and k, feed-forward 1536.
struct Data {
  explicit Data(int64_t m)
      : x(m * 3072, 0.5f),
        y(x),
        weight(3072, 1.f),
        norm{{m, 1, 576, 576, 576}, x.data(), weight.data(), y.data(), 1e-5f},
        gated{m, 1536, x.data(), 3072, y.data(), 1536},
        rope{{m, 12, 64, 960, 960}, x.data(), x.data(), x.data(), y.data()} {}
  std::vector<float> x, y, weight;
  RmsNormParams norm;
  GatedParams gated;
  RopeParams rope;
};

template <class Run>
void bench(benchmark::State& state, int64_t floats_per_row, Run run) {
  Data data(state.range(0));
  for (auto _ : state) {
    run(data);
    benchmark::ClobberMemory();
  }
  state.counters["floats_per_s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * state.range(0) * floats_per_row),
                         benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(bench, rms_norm, 576, [](Data& d) { rms_norm(d.norm); })->Arg(1)->Arg(512);
BENCHMARK_CAPTURE(bench, silu_mul, 1536, [](Data& d) { silu_mul(d.gated); })->Arg(1)->Arg(512);
BENCHMARK_CAPTURE(bench, gelu_tanh_mul, 1536, [](Data& d) { gelu_tanh_mul(d.gated); })
    ->Arg(1)
    ->Arg(512);
BENCHMARK_CAPTURE(bench, rope, 768, [](Data& d) { rope_half_split(d.rope); })->Arg(1)->Arg(512);

}  // namespace
}  // namespace dsrasq::kernels
