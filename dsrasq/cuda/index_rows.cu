#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/index_rows.h"
#include "dsrasq/cuda/warp.cuh"
#include "dsrasq/kernels/int8_rows.h"

namespace dsrasq::cuda {
namespace {

constexpr int kWarps = 8;
constexpr float kLayerNormEps = 1e-5f;

// Codes and scale of a row of which lane l holds the values l, l + 32, ...
template <int kPer>
__device__ float store_codes(const float (&x)[kPer], int max_code, int8_t* codes, int lane) {
  float amax = 0;
  for (int e = 0; e < kPer; ++e) amax = fmaxf(amax, fabsf(x[e]));
  const Int8Scale by = int8_scale(warp_max(amax), max_code);
  for (int e = 0; e < kPer; ++e) codes[lane + 32 * e] = by.code(x[e]);
  return by.scale;
}

template <int kPer>
__device__ void store_key(const IndexRows& p, const float* row, int64_t slot, int lane) {
  constexpr int kDim = 32 * kPer;
  float x[kPer], sum = 0;
  for (int e = 0; e < kPer; ++e) sum += x[e] = row[lane + 32 * e];
  const float mean = warp_sum(sum) / kDim;
  float squares = 0;
  for (int e = 0; e < kPer; ++e) squares += (x[e] - mean) * (x[e] - mean);
  const float inverse = rsqrtf(warp_sum(squares) / kDim + kLayerNormEps);
  for (int e = 0; e < kPer; ++e) {
    const int c = lane + 32 * e;
    x[e] = (x[e] - mean) * inverse * p.norm_weight[c] + p.norm_bias[c];
  }
  const float scale = store_codes(x, kernels::kMaxCode, p.ring.index_key + slot * kDim, lane);
  if (lane == 0) p.ring.index_scale[slot] = scale;
}

// A warp for every token.
template <int kPer>
__global__ void index_rows_kernel(IndexRows p) {
  constexpr int kDim = 32 * kPer;
  const int lane = threadIdx.x % 32;
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (token >= p.n) return;
  const float* row = p.projected + token * (p.n_heads * kDim + kDim + p.n_heads + 1);
  const int padded = padded_heads(p.n_heads);
  for (int head = 0; head < padded; ++head) {
    float x[kPer];
    for (int e = 0; e < kPer; ++e)
      x[e] = head < p.n_heads ? row[head * kDim + lane + 32 * e] : 0.0f;
    const int64_t at = token * padded + head;
    const float scale = store_codes(x, kernels::kMaxQueryCode, p.query + at * kDim, lane);
    if (lane == 0)
      p.weight[at] =
          head < p.n_heads ? __fmul_rn(row[p.n_heads * kDim + kDim + head], scale) : 0.0f;
  }
  store_key<kPer>(p, row + p.n_heads * kDim, (p.first + token) % p.ring.capacity, lane);
}

// A warp for every row.
template <int kPer>
__global__ void rows_kernel(const float* x, int64_t n_rows, int max_code, int8_t* codes,
                            float* scale) {
  const int lane = threadIdx.x % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= n_rows) return;
  float own[kPer];
  for (int e = 0; e < kPer; ++e) own[e] = x[row * 32 * kPer + lane + 32 * e];
  const float by = store_codes(own, max_code, codes + row * 32 * kPer, lane);
  if (lane == 0) scale[row] = by;
}

unsigned blocks_for(int64_t n) { return static_cast<unsigned>((n + kWarps - 1) / kWarps); }

}  // namespace

void quantize_index_rows(const IndexRows& p, Stream stream) {
  DSRASQ_CHECK((p.dim == 32 || p.dim == 64) && p.n_heads <= 8, kInternal, "cuda",
               "quantize_index_rows: ", p.n_heads, " heads of ", p.dim);
  if (p.dim == 32)
    index_rows_kernel<1><<<blocks_for(p.n), kWarps * 32, 0, stream>>>(p);
  else
    index_rows_kernel<2><<<blocks_for(p.n), kWarps * 32, 0, stream>>>(p);
  check_launch("quantize_index_rows");
}

void quantize_rows(const float* x, int64_t n_rows, int32_t dim, int32_t max_code, int8_t* codes,
                   float* scale, Stream stream) {
  DSRASQ_CHECK(dim == 32 || dim == 64, kInternal, "cuda", "quantize_rows: rows of ", dim);
  const unsigned blocks = blocks_for(n_rows);
  if (dim == 32)
    rows_kernel<1><<<blocks, kWarps * 32, 0, stream>>>(x, n_rows, max_code, codes, scale);
  else
    rows_kernel<2><<<blocks, kWarps * 32, 0, stream>>>(x, n_rows, max_code, codes, scale);
  check_launch("quantize_rows");
}

}  // namespace dsrasq::cuda
