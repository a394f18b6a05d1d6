// Times of the kernels on one GPU at the shapes of SmolLM2-135M, with CUDA events: the median of
// several runs, as microseconds a call and a token of 30 layers, and bytes a second of what each
// must read at least. Random keys and sets, so that no two neighbours read the same: more than a
// text asks for.

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "dsrasq/cuda/append_tokens.h"
#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/gathered_attention.h"
#include "dsrasq/cuda/index_rows.h"
#include "dsrasq/cuda/index_scan.h"

namespace dsrasq::cuda {
namespace {

constexpr int32_t kHeads = 9, kKvHeads = 3, kDim = 64, kIndexHeads = 4, kIndexDim = 32;
constexpr int kLayers = 30, kRuns = 7;
constexpr size_t kMostK = 1024;
static_assert(kMostK >= (kIndexHeads + 1) * kIndexDim + kIndexHeads + 1);
constexpr int64_t kLongestCall = 8192, kDMax = 5980;
constexpr PoolRule kRule{.window = 512, .pool = 16384, .block = 512, .sinks = 4};

template <class T>
T* device_array(size_t n) {
  void* data = nullptr;
  if (cudaMalloc(&data, n * sizeof(T)) != cudaSuccess) std::exit(1);
  cudaMemset(data, 0, n * sizeof(T));
  return static_cast<T*>(data);
}

template <class T, class Value>
T* random_array(size_t n, const Value& value) {
  std::vector<T> host(n);
  for (T& x : host) x = static_cast<T>(value());
  T* data = device_array<T>(n);
  cudaMemcpy(data, host.data(), n * sizeof(T), cudaMemcpyHostToDevice);
  return data;
}

template <class Launch>
double median_us(const Launch& launch) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin), cudaEventCreate(&end);
  std::vector<double> times;
  for (int run = 0; run < kRuns + 2; ++run) {  // two to warm up
    cudaEventRecord(begin);
    launch();
    cudaEventRecord(end);
    check(cudaEventSynchronize(end), "a run of the last row");
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    if (run >= 2) times.push_back(1e3 * ms);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// A row of the table, its name before it is measured: a kernel that fails is then known.
template <class Launch>
void print_row(const std::string& name, int64_t n, double bytes, const Launch& launch) {
  std::printf("%-34s %6lld ", name.c_str(), static_cast<long long>(n));
  std::fflush(stdout);
  const double us = median_us(launch);
  std::printf("%10.1f %10.3f %8.0f\n", us, us * kLayers / static_cast<double>(n),
              bytes / us * 1e-3);
  std::fflush(stdout);
}

class Bench {
 public:
  Bench() {
    const auto code = [this] { return static_cast<int>(rng_() % 255) - 127; };
    const auto small = [this] { return static_cast<int>(rng_() % 127) - 63; };
    const auto positive = [this] { return 1e-3f * static_cast<float>(rng_() % 1000 + 1); };
    const auto half = [this] { return 0x3c00 + rng_() % 0x400 + (rng_() % 2 << 15); };  // bf16
    const auto rows = static_cast<size_t>(capacity_), n = static_cast<size_t>(kLongestCall);
    ring_.k = random_array<int8_t>(rows * kKvHeads * kDim, code);
    ring_.v = random_array<int8_t>(rows * kKvHeads * kDim, code);
    ring_.k_scale = random_array<float>(rows * kKvHeads, positive);
    ring_.v_scale = random_array<float>(rows * kKvHeads, positive);
    ring_.index_key = random_array<int8_t>(rows * kIndexDim, code);
    ring_.index_scale = random_array<float>(rows, positive);
    cos_ = device_array<float>(rows * kDim / 2), sin_ = device_array<float>(rows * kDim / 2);
    turns_ = device_array<uint16_t>(rows * kDim);
    ring_.cos = cos_, ring_.sin = sin_, ring_.turns = turns_, ring_.capacity = capacity_;
    inv_freq_ = random_array<double>(
        kDim / 2, [this] { return 1.0 / static_cast<double>(rng_() % 1000 + 1); });
    query_ = random_array<int8_t>(n * kIndexHeads * kIndexDim, small);
    weight_ = random_array<float>(n * kIndexHeads, positive);
    selected_ = device_array<int32_t>(n * kMostK), n_selected_ = device_array<int32_t>(n);
    halves_ = random_array<Bf16>(n * (kHeads + 2 * kKvHeads) * kDim, half);
    floats_ = random_array<float>(n * kMostK, positive);  // scores, or rows that are projected
    for (Bf16*& out : out_) out = device_array<Bf16>(n * kHeads * kDim);
    sinks_ = random_array<Bf16>(4 * kKvHeads * kDim, half);
    mass_ = random_array<float>(n * kHeads, positive);
    scratch_ = device_array<char>(size_t{1} << 26);
    fill_angles(inv_freq_, kDim / 2, 0, capacity_, capacity_, cos_, sin_, turns_, nullptr);
  }

  void scan(int64_t n, int64_t first, int32_t k, bool has_mass = false) {
    IndexScan scan{.query = query_,
                   .weight = weight_,
                   .padded_heads = kIndexHeads,
                   .dim = kIndexDim,
                   .key = ring_.index_key,
                   .key_scale = ring_.index_scale,
                   .capacity = capacity_,
                   .rule = kRule,
                   .n = n,
                   .first = first,
                   .k = k,
                   .best_first = has_mass,
                   .selected = selected_,
                   .n_selected = n_selected_,
                   .scores = has_mass ? floats_ : nullptr,
                   .log_mass = has_mass ? mass_ : nullptr,
                   .scratch = nullptr};
    if (scan_scratch_bytes(scan) > 0) scan.scratch = scratch_;
    double seen = 0;
    for (int64_t i = first; i < first + n; ++i)
      seen += static_cast<double>(std::max<int64_t>(0, kRule.end(i) - kRule.first(i)));
    const std::string what = has_mass ? "scan, by score with mass, k " : "scan k ";
    print_row(what + std::to_string(k) + " at " + std::to_string(first), n, seen * kIndexDim,
              [&] { select_top_k(scan, nullptr); });
  }

  // Of what the last scan selected.
  void gather(int64_t n, int64_t first, int32_t k, int64_t d_max) {
    const GatheredAttention p{.q = halves_,
                              .q_far = halves_,
                              .ring = ring_,
                              .selected = selected_,
                              .n_selected = n_selected_,
                              .k = k,
                              .sink_k = sinks_,
                              .sink_k_rotated = sinks_,
                              .sink_v = sinks_,
                              .n_sinks = 4,
                              .window_out = out_[0],
                              .window_mass = mass_,
                              .n = n,
                              .first = first,
                              .window = kRule.window,
                              .d_max = d_max,
                              .n_heads = kHeads,
                              .n_kv_heads = kKvHeads,
                              .head_dim = kDim,
                              .scale = 0.125f,
                              .out = out_[1]};
    print_row("gather k " + std::to_string(k) + ", d_max " + std::to_string(d_max), n,
              static_cast<double>(n * k) * kKvHeads * 2 * kDim,
              [&] { gathered_attention(p, nullptr); });
  }

  void append(int64_t n, int64_t first) {
    const int64_t stride = (kHeads + 2 * kKvHeads) * kDim;
    const AppendTokens p{.q = halves_,
                         .k = halves_ + kHeads * kDim,
                         .v = halves_ + (kHeads + kKvHeads) * kDim,
                         .q_stride = stride,
                         .k_stride = stride,
                         .v_stride = stride,
                         .n = n,
                         .first = first,
                         .n_heads = kHeads,
                         .n_kv_heads = kKvHeads,
                         .head_dim = kDim,
                         .ring = ring_,
                         .cos_far = cos_,
                         .sin_far = sin_,
                         .q_rotated = out_[0],
                         .q_far = out_[1],
                         .k_rotated = out_[2],
                         .v_copy = out_[3]};
    print_row("append", n, static_cast<double>(n) * kDim * (3 * kHeads + 6 * kKvHeads) * 2,
              [&] { append_tokens(p, nullptr); });
    const IndexRows rows{.projected = floats_,
                         .norm_weight = weight_,
                         .norm_bias = weight_,
                         .n = n,
                         .first = first,
                         .n_heads = kIndexHeads,
                         .dim = kIndexDim,
                         .ring = ring_,
                         .query = query_,
                         .weight = weight_};
    print_row("index rows", n, static_cast<double>(n) * (5 * kIndexDim + 5) * 4,
              [&] { quantize_index_rows(rows, nullptr); });
  }

 private:
  std::mt19937 rng_{1};
  int64_t capacity_ = kRule.capacity_for(kLongestCall);
  TokenRing ring_{};
  float *cos_, *sin_, *weight_, *floats_, *mass_;
  uint16_t* turns_;
  double* inv_freq_;
  int8_t* query_;
  int32_t *selected_, *n_selected_;
  Bf16 *halves_, *sinks_, *out_[4];
  char* scratch_;
};

void run() {
  Bench bench;
  std::printf("%-34s %6s %10s %10s %8s\n", "kernel", "tokens", "us", "us/30/tok", "GB/s");
  for (const int64_t first : {int64_t{0}, int64_t{8192}, int64_t{122'880}})
    for (const int32_t k : {64, 256, int32_t{kMostK}}) {
      bench.scan(kLongestCall, first, k);
      for (const int64_t d_max : {kDMax, int64_t{1}, int64_t{1} << 40})
        bench.gather(kLongestCall, first, k, d_max);
    }
  bench.scan(kLongestCall, 122'880, 256, true);
  for (const int64_t n : {1, 64, 512})
    for (const int32_t k : {64, 256}) {
      bench.scan(n, 122'880, k);
      bench.gather(n, 122'880, k, kDMax);
    }
  for (const int64_t n : {int64_t{1}, kLongestCall}) bench.append(n, 122'880);
}

}  // namespace
}  // namespace dsrasq::cuda

int main() { dsrasq::cuda::run(); }
