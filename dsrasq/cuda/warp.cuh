#pragma once

// What the kernels share: sums and maxima over a warp, bfloat16, int8 codes.

#include <cuda_bf16.h>

#include <cstdint>

namespace dsrasq::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;

__device__ inline float warp_max(float value) {
  for (int step = 16; step > 0; step /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}

__device__ inline float warp_sum(float value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

__device__ inline float to_float(uint16_t bits) {
  return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

__device__ inline uint16_t to_bf16(float value) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

/// kernels::quantize_rows' rule, operation by operation.
struct Int8Scale {
  float scale, inverse, limit;
  __device__ int8_t code(float x) const {
    return static_cast<int8_t>(fminf(fmaxf(rintf(__fmul_rn(x, inverse)), -limit), limit));
  }
};

__device__ inline Int8Scale int8_scale(float amax, int max_code) {
  const auto limit = static_cast<float>(max_code);
  if (amax < 1e-30f) return {0, 0, limit};
  return {__fdiv_rn(amax, limit), __fdiv_rn(limit, amax), limit};
}

/// Four int8 codes of a word as floats. A byte with its sign bit turned is code + 128; put into the
/// low bits of 2^23 it is a float that differs by 2^23 from it.
__device__ inline void unpack_codes(uint32_t word, float* out) {
  const uint32_t bytes = word ^ 0x80808080u;
  constexpr float kOffset = 8388608.0f + 128.0f;
  out[0] = __uint_as_float(__byte_perm(bytes, 0x4b000000u, 0x7540)) - kOffset;
  out[1] = __uint_as_float(__byte_perm(bytes, 0x4b000000u, 0x7541)) - kOffset;
  out[2] = __uint_as_float(__byte_perm(bytes, 0x4b000000u, 0x7542)) - kOffset;
  out[3] = __uint_as_float(__byte_perm(bytes, 0x4b000000u, 0x7543)) - kOffset;
}

}  // namespace dsrasq::cuda
