#include <cuda_fp16.h>

#include "dsrasq/cuda/append_tokens.h"
#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/warp.cuh"
#include "dsrasq/kernels/int8_rows.h"

namespace dsrasq::cuda {
namespace {

constexpr int kWarps = 8;

__global__ void fill_angles_kernel(const double* inv_freq, int half, int64_t first, int64_t n,
                                   int64_t capacity, float* cos_out, float* sin_out,
                                   uint16_t* turns) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * half) return;
  const int64_t position = first + at / half;
  const int i = static_cast<int>(at % half);
  double s, c;
  sincos(static_cast<double>(position) * inv_freq[i], &s, &c);
  const int64_t row = position % capacity, at_angle = row * half + i;
  cos_out[at_angle] = static_cast<float>(c);
  sin_out[at_angle] = static_cast<float>(s);
  if (turns == nullptr) return;
  turns[2 * row * half + i] = __half_as_ushort(__double2half(c));
  turns[(2 * row + 1) * half + i] = __half_as_ushort(__double2half(s));
}

// A head's row in a warp: lane l holds the dimensions l, l + 32, ...
template <int kPer>
struct Row {
  float x[kPer];

  __device__ static Row load(const Bf16* from, int lane) {
    Row row;
    for (int e = 0; e < kPer; ++e) row.x[e] = to_float(from[lane + 32 * e]);
    return row;
  }
  __device__ void store(Bf16* to, int lane) const {
    for (int e = 0; e < kPer; ++e) to[lane + 32 * e] = to_bf16(x[e]);
  }
  // Pairs are (c, c + D / 2).
  __device__ Row rotated(const float* cos, const float* sin, int lane) const {
    Row turned;
    for (int e = 0; e < kPer / 2; ++e) {
      const float c = cos[lane + 32 * e], s = sin[lane + 32 * e];
      const float low = x[e], high = x[e + kPer / 2];
      turned.x[e] = low * c - high * s;
      turned.x[e + kPer / 2] = high * c + low * s;
    }
    return turned;
  }
};

template <int kPer>
__device__ void store_codes(const Row<kPer>& row, int8_t* codes, float* scale, int lane) {
  float amax = 0;
  for (int e = 0; e < kPer; ++e) amax = fmaxf(amax, fabsf(row.x[e]));
  amax = warp_max(amax);
  const Int8Scale by = int8_scale(amax, kernels::kMaxCode);
  for (int e = 0; e < kPer; ++e) codes[lane + 32 * e] = by.code(row.x[e]);
  if (lane == 0) *scale = by.scale;
}

// A warp for every head of q, k and v of every token.
template <int kPer>
__global__ void append_tokens_kernel(AppendTokens p) {
  constexpr int kDim = 32 * kPer;
  const int lane = threadIdx.x % 32;
  const int n_rows = p.n_heads + 2 * p.n_kv_heads;
  const int64_t work = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int64_t token = work / n_rows;
  const int head = static_cast<int>(work % n_rows), g = (head - p.n_heads) % p.n_kv_heads;
  if (token >= p.n) return;
  const int64_t slot = (p.first + token) % p.ring.capacity;
  const float* cos = p.ring.cos + slot * (kDim / 2);
  const float* sin = p.ring.sin + slot * (kDim / 2);
  if (head < p.n_heads) {
    const auto q = Row<kPer>::load(p.q + token * p.q_stride + head * kDim, lane);
    const int64_t out = (token * p.n_heads + head) * kDim;
    q.rotated(cos, sin, lane).store(p.q_rotated + out, lane);
    if (p.cos_far != nullptr) q.rotated(p.cos_far, p.sin_far, lane).store(p.q_far + out, lane);
    return;
  }
  const int64_t out = (token * p.n_kv_heads + g) * kDim, kept = slot * p.n_kv_heads + g;
  if (head < p.n_heads + p.n_kv_heads) {
    const auto k = Row<kPer>::load(p.k + token * p.k_stride + g * kDim, lane);
    k.rotated(cos, sin, lane).store(p.k_rotated + out, lane);
    if (p.ring.k != nullptr) store_codes(k, p.ring.k + kept * kDim, p.ring.k_scale + kept, lane);
    return;
  }
  const auto v = Row<kPer>::load(p.v + token * p.v_stride + g * kDim, lane);
  v.store(p.v_copy + out, lane);
  if (p.ring.k != nullptr) store_codes(v, p.ring.v + kept * kDim, p.ring.v_scale + kept, lane);
}

}  // namespace

void fill_angles(const double* inv_freq, int32_t half, int64_t first, int64_t n, int64_t capacity,
                 float* cos, float* sin, uint16_t* turns, Stream stream) {
  constexpr int kThreads = 256;
  const auto blocks = static_cast<unsigned>((n * half + kThreads - 1) / kThreads);
  fill_angles_kernel<<<blocks, kThreads, 0, stream>>>(inv_freq, half, first, n, capacity, cos, sin,
                                                      turns);
  check_launch("fill_angles");
}

void append_tokens(const AppendTokens& p, Stream stream) {
  const int64_t rows = p.n * (p.n_heads + 2 * p.n_kv_heads);
  const auto blocks = static_cast<unsigned>((rows + kWarps - 1) / kWarps);
  switch (p.head_dim) {
    case 64: append_tokens_kernel<2><<<blocks, kWarps * 32, 0, stream>>>(p); break;
    case 128: append_tokens_kernel<4><<<blocks, kWarps * 32, 0, stream>>>(p); break;
    case 256: append_tokens_kernel<8><<<blocks, kWarps * 32, 0, stream>>>(p); break;
    default:
      throw Error(ErrorCode::kInternal, "cuda", concat("append_tokens: head size ", p.head_dim));
  }
  check_launch("append_tokens");
}

}  // namespace dsrasq::cuda
