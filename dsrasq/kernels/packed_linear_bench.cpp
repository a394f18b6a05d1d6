// The linear layers of SmolLM2-135M (30 layers and the head; weights distinct, so that no cache
// helps) beside the roofs of the machine: read `gflop_per_s` against `roof/fma`, `gb_per_s` against
// `roof/read`. Threads: all of the machine, or the environment variable DSRASQ_BENCH_THREADS.
#include "dsrasq/kernels/simd_targets.h"  // before Highway

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/packed_linear_bench.cpp"
#include <hwy/foreach_target.h>  // before highway.h

#include <benchmark/benchmark.h>
#include <hwy/highway.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/packed_linear.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// `steps` rounds of 12 independent multiply-adds. Returns the FLOP done.
double multiply_add(int64_t steps, float* out) {
  const hn::ScalableTag<float> d;
  const auto x = hn::Set(d, *out);
  const auto start = [&](int i) HWY_ATTR { return hn::Set(d, 0.01f * static_cast<float>(i)); };
  auto a = start(0), b = start(1), c = start(2), e = start(3), f = start(4), g = start(5);
  auto h = start(6), i = start(7), j = start(8), k = start(9), l = start(10), m = start(11);
  for (int64_t s = 0; s < steps; ++s) {
    a = hn::MulAdd(a, x, x), b = hn::MulAdd(b, x, x), c = hn::MulAdd(c, x, x);
    e = hn::MulAdd(e, x, x), f = hn::MulAdd(f, x, x), g = hn::MulAdd(g, x, x);
    h = hn::MulAdd(h, x, x), i = hn::MulAdd(i, x, x), j = hn::MulAdd(j, x, x);
    k = hn::MulAdd(k, x, x), l = hn::MulAdd(l, x, x), m = hn::MulAdd(m, x, x);
  }
  a = hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, e)), hn::Add(hn::Add(f, g), hn::Add(h, i)));
  *out = hn::GetLane(hn::Add(hn::Add(a, j), hn::Add(hn::Add(k, l), m)));
  return 24. * static_cast<double>(steps) * hn::Lanes(d);
}

float sum_of(const float* x, int64_t n) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto a = hn::Zero(d), b = a, c = a, e = a;
  for (int64_t i = 0; i + 4 * lanes <= n; i += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(d, x + i)), b = hn::Add(b, hn::LoadU(d, x + i + lanes));
    c = hn::Add(c, hn::LoadU(d, x + i + 2 * lanes)),
    e = hn::Add(e, hn::LoadU(d, x + i + 3 * lanes));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {
namespace {

HWY_EXPORT(multiply_add);
HWY_EXPORT(sum_of);

void use_threads() {
  const char* wanted = std::getenv("DSRASQ_BENCH_THREADS");
  if (wanted) set_num_threads(std::atoi(wanted));
}

void fma_roof(benchmark::State& state) {
  use_threads();
  std::atomic<double> flop = 0;
  for (auto _ : state)
    parallel_for(num_threads(), 1, [&](int64_t begin, int64_t end) {
      for (; begin < end; ++begin) {
        float x = 0.5f;
        flop = flop + HWY_DYNAMIC_DISPATCH(multiply_add)(1000000, &x);
        benchmark::DoNotOptimize(x);
      }
    });
  state.counters["gflop_per_s"] = benchmark::Counter(flop * 1e-9, benchmark::Counter::kIsRate);
  state.SetLabel(linear_target());
}

void read_roof(benchmark::State& state) {
  use_threads();
  const std::vector<float> data(state.range(0) << 18, 1.f);
  const auto n = static_cast<int64_t>(data.size());
  for (auto _ : state)
    parallel_for(n, 1 << 17, [&](int64_t begin, int64_t end) {
      benchmark::DoNotOptimize(HWY_DYNAMIC_DISPATCH(sum_of)(data.data() + begin, end - begin));
    });
  state.counters["gb_per_s"] = benchmark::Counter(
      4e-9 * static_cast<double>(n * state.iterations()), benchmark::Counter::kIsRate);
}

PackedLinear random_matrix(WeightType type, int64_t rows, int64_t cols) {
  std::vector<std::byte> data(rows * weight_row_bytes(type, cols));
  uint32_t random = 1;
  for (std::byte& b : data) b = static_cast<std::byte>((random = random * 1664525 + 7) >> 24);
  const WeightBlock block = weight_block(type);
  for (size_t i = 0; i < data.size(); i += block.bytes) {  // scales near 0.01
    data[i + 1] = std::byte{0x21};
    if (type != WeightType::kQ8_0) data[i + 3] = std::byte{0xA1};
    if (type == WeightType::kQ6_K) data[i + 209] = std::byte{0x01};
  }
  const WeightSource part{type, data.data(), rows, cols};
  return PackedLinear::pack({&part, 1});
}

// Every matrix once: [layer 0: qkv, o, gate and up, down] ... [head].
struct Stack {
  std::vector<PackedLinear> layers;
  PackedLinear head;

  explicit Stack(WeightType type) {
    for (int layer = 0; layer < 30; ++layer) {
      layers.push_back(random_matrix(type, 960, 576));
      layers.push_back(random_matrix(type, 576, 576));
      layers.push_back(random_matrix(type, 3072, 576));
      layers.push_back(random_matrix(type, 576, 1536));
    }
    head = random_matrix(WeightType::kQ8_0, 49152, 576);
  }
};

const Stack& stack_of(WeightType type) {
  static WeightType made = type;
  static auto stack = std::make_unique<Stack>(type);
  if (made != type) stack = std::make_unique<Stack>(made = type);
  return *stack;
}

// A forward pass of m tokens; the head sees the last one alone, as in generation.
template <WeightType kType, Products kProducts>
void smollm2_linears(benchmark::State& state) {
  use_threads();
  const Stack& stack = stack_of(kType);
  const int64_t m = state.range(0);
  const std::vector<float> x(m * 1536, 0.25f);
  std::vector<float> y(m * 3072), logits(49152);
  for (auto _ : state) {
    for (const PackedLinear& w : stack.layers)
      linear(w, x.data(), m, w.cols(), y.data(), w.rows(), nullptr, kProducts);
    linear(stack.head, x.data(), 1, 576, logits.data(), 49152, nullptr, kProducts);
    benchmark::ClobberMemory();
  }
  double bytes = stack.head.bytes(), flop = 2. * 576 * 49152;
  for (const PackedLinear& w : stack.layers) {
    bytes += w.bytes();
    flop += 2. * m * w.rows() * w.cols();
  }
  const auto rate = [&](double per_pass) {
    return benchmark::Counter(per_pass * state.iterations(), benchmark::Counter::kIsRate);
  };
  state.counters["tokens_per_s"] = rate(m);
  state.counters["gflop_per_s"] = rate(flop * 1e-9);
  state.counters["gb_per_s"] = rate(bytes * 1e-9);
}

BENCHMARK(fma_roof)->Name("roof/fma")->UseRealTime();
BENCHMARK(read_roof)->Name("roof/read_mib")->Arg(256)->UseRealTime();
#define DSRASQ_STACK_BENCH(type, products, name)                         \
  BENCHMARK(smollm2_linears<WeightType::k##type, Products::k##products>) \
      ->Name("smollm2/" name)                                            \
      ->Arg(1)                                                           \
      ->Arg(2)                                                           \
      ->Arg(4)                                                           \
      ->Arg(8)                                                           \
      ->Arg(64)                                                          \
      ->Arg(512)                                                         \
      ->UseRealTime()                                                    \
      ->Unit(benchmark::kMillisecond)
DSRASQ_STACK_BENCH(Q4_1, Fp32, "Q4_1");
DSRASQ_STACK_BENCH(Q4_1, Int8, "Q4_1/int8");
DSRASQ_STACK_BENCH(Q8_0, Fp32, "Q8_0");
DSRASQ_STACK_BENCH(Q8_0, Int8, "Q8_0/int8");
DSRASQ_STACK_BENCH(F16, Fp32, "F16");
DSRASQ_STACK_BENCH(F32, Fp32, "F32");

}  // namespace
}  // namespace dsrasq::kernels
#endif
