#pragma once

// Instructions that CUDA C++ has no words for. A fragment is a lane's share of a matrix that lies
// in a warp's registers; with g = lane / 4 and c = lane % 4 a lane holds of
//   a 16 x 8 sum       the rows g, g + 8 and the columns 2c, 2c + 1: {g:2c, g:2c+1, g+8:2c, ...}
//   a left 16 x K      rows g, g + 8, g, g + 8, at the lower and then the upper half of the columns
//   a right K x 8      column g, at the lower and the upper half of the rows
// where a half's share of c are the 2 fp16 or 4 int8 neighbours at 2c or 4c.

#include <cstdint>

namespace dsrasq::cuda {

/// sum += left * right, fp16 with fp32 sums, K = 16.
__device__ inline void multiply(float (&sum)[4], const uint32_t (&left)[4], uint2 right) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
      "{%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right.x), "r"(right.y));
}

/// sum = start + left * right, int8, K = 32.
__device__ inline void multiply(int (&sum)[4], const int (&start)[4], const uint32_t (&left)[4],
                                uint2 right) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
      "{%10,%11,%12,%13};"
      : "=r"(sum[0]), "=r"(sum[1]), "=r"(sum[2]), "=r"(sum[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right.x), "r"(right.y),
        "r"(start[0]), "r"(start[1]), "r"(start[2]), "r"(start[3]));
}

/// Of an 8 x 8 matrix of 16 bits, of which a lane holds row g at the columns 2c and 2c + 1.
__device__ inline uint32_t transposed(uint32_t pair) {
  uint32_t out;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(pair));
  return out;
}

/// 2^x; what is below the smallest normal number becomes 0.
__device__ inline float power_of_two(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}

}  // namespace dsrasq::cuda
