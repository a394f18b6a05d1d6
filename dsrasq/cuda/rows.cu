#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/rows.h"
#include "dsrasq/cuda/warp.cuh"

namespace dsrasq::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// Two neighbours of a row as one word.
__device__ float2 pair_of(const Bf16* row, int64_t pair) {
  const uint32_t word = reinterpret_cast<const uint32_t*>(row)[pair];
  return {__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u)};
}

__device__ void store_pair(Bf16* row, int64_t pair, float low, float high) {
  reinterpret_cast<uint32_t*>(row)[pair] =
      static_cast<uint32_t>(to_bf16(low)) | static_cast<uint32_t>(to_bf16(high)) << 16;
}

// A warp for every row.
__global__ void rms_norm_kernel(const Bf16* x, const float* weight, int64_t n_rows, int64_t width,
                                float eps, Bf16* y) {
  const int lane = threadIdx.x % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= n_rows) return;
  x += row * width, y += row * width;
  float squares = 0;
  for (int64_t i = lane; i < width / 2; i += 32) {
    const float2 v = pair_of(x, i);
    squares += v.x * v.x + v.y * v.y;
  }
  const float scale = rsqrtf(warp_sum(squares) / static_cast<float>(width) + eps);
  for (int64_t i = lane; i < width / 2; i += 32) {
    const float2 v = pair_of(x, i), w = reinterpret_cast<const float2*>(weight)[i];
    store_pair(y, i, v.x * scale * w.x, v.y * scale * w.y);
  }
}

template <bool kIsGelu>
__device__ float activation(float x) {
  if (!kIsGelu) return x / (1 + __expf(-x));
  constexpr float kRoot = 0.7978845608f, kCube = 0.044715f;  // sqrt(2 / pi)
  return 0.5f * x * (1 + tanhf(kRoot * (x + kCube * x * x * x)));
}

template <bool kIsGelu>
__global__ void gated_kernel(const Bf16* gate_up, int64_t n_rows, int64_t width, Bf16* y) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x, half = width / 2;
  if (at >= n_rows * half) return;
  const int64_t row = at / half, pair = at % half;
  const Bf16* from = gate_up + row * 2 * width;
  const float2 gate = pair_of(from, pair), up = pair_of(from + width, pair);
  store_pair(y + row * width, pair, activation<kIsGelu>(gate.x) * up.x,
             activation<kIsGelu>(gate.y) * up.y);
}

}  // namespace

void rms_norm(const Bf16* x, const float* weight, int64_t n_rows, int64_t width, float eps, Bf16* y,
              Stream stream) {
  const auto blocks = static_cast<unsigned>((n_rows + kWarps - 1) / kWarps);
  rms_norm_kernel<<<blocks, kThreads, 0, stream>>>(x, weight, n_rows, width, eps, y);
  check_launch("rms_norm");
}

void gated(const Bf16* gate_up, int64_t n_rows, int64_t width, bool is_gelu, Bf16* y,
           Stream stream) {
  const auto blocks = static_cast<unsigned>((n_rows * width / 2 + kThreads - 1) / kThreads);
  if (is_gelu)
    gated_kernel<true><<<blocks, kThreads, 0, stream>>>(gate_up, n_rows, width, y);
  else
    gated_kernel<false><<<blocks, kThreads, 0, stream>>>(gate_up, n_rows, width, y);
  check_launch("gated");
}

}  // namespace dsrasq::cuda
