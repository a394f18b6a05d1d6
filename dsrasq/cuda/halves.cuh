#pragma once

// Pairs of fp16 values in a word, the lower first: from int8 codes, from bf16 and fp32; RoPE.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace dsrasq::cuda {

__device__ inline float low_bf16(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_bf16(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ inline uint32_t word_of(__half2 pair) {
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline __half2 halves_of(uint32_t word) {
  return *reinterpret_cast<const __half2*>(&word);
}

__device__ inline uint32_t as_halves(float low, float high) {
  return word_of(__floats2half2_rn(low, high));
}

__device__ inline uint32_t as_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// Two bytes, which are code + 128, in the low bits of 1024.
__device__ inline uint32_t less_offset(uint32_t pair) {
  const __half2 offset = __half2half2(__ushort_as_half(0x6480));  // 1024 + 128
  return word_of(__hsub2(halves_of(pair), offset));
}

/// Four int8 codes of a word, exactly.
__device__ inline void codes_as_halves(uint32_t word, uint32_t& first, uint32_t& second) {
  const uint32_t bytes = word ^ 0x80808080u;  // code + 128
  first = less_offset(__byte_perm(bytes, 0x64646464u, 0x4140));
  second = less_offset(__byte_perm(bytes, 0x64646464u, 0x4342));
}

/// The codes of two words in pairs of the same place.
__device__ inline void codes_side_by_side(uint32_t a, uint32_t b, uint32_t (&out)[4]) {
  codes_as_halves(__byte_perm(a, b, 0x5140), out[0], out[1]);
  codes_as_halves(__byte_perm(a, b, 0x7362), out[2], out[3]);
}

/// Turns the pairs (low, high) of two dimensions by their angles, in fp16.
__device__ inline void turn_halves(uint32_t& low, uint32_t& high, uint32_t cos, uint32_t sin) {
  const __half2 x = halves_of(low), y = halves_of(high), c = halves_of(cos), s = halves_of(sin);
  low = word_of(__hfma2(__hneg2(y), s, __hmul2(x, c)));
  high = word_of(__hfma2(x, s, __hmul2(y, c)));
}

}  // namespace dsrasq::cuda
