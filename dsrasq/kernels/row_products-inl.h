// Per-target header: compiled once per instruction set by the files that include it.
// Products of a few rows with a matrix whose columns lie in blocks of 16: the inner loop of the
// attention kernels and of the slots. Every element of the result is one chain of multiply-adds in
// ascending depth, so its bits do not depend on how many rows or columns are computed together.

#if defined(DSRASQ_KERNELS_ROW_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_ROW_PRODUCTS_INL_H_
#undef DSRASQ_KERNELS_ROW_PRODUCTS_INL_H_
#else
#define DSRASQ_KERNELS_ROW_PRODUCTS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// out[row, 16 * block + c] (+)= sum_t a[row, t] * b[block * b_block + t * ldb + c], c < 16.
struct RowProducts {
  const float* a;  ///< [rows, depth], rows `lda` apart
  const float* b;  ///< blocks of [depth, 16], `b_block` apart; its rows `ldb` apart
  float* out;      ///< [rows, 16 * blocks], rows `ldo` apart
  int64_t depth;
  int64_t lda, ldb, b_block, ldo;
  bool accumulate;  ///< add to what `out` holds
};

// As many sums in flight as the registers hold and the latency of an addition wants.
inline constexpr int kMaxRows = kLanes == 16 ? 8 : kLanes == 8 ? 6 : kLanes == 4 ? 2 : 1;
inline constexpr int kMostSums = kLanes == 8 ? 12 : 8;
// Block heights after a full one, with none left: 8 or 6, 4, 3, 2, 1.
constexpr int next_height(int rows) { return rows > 4 ? 4 : rows - 1; }
constexpr int blocks_for(int rows) { return HWY_MAX(1, HWY_MIN(4, kMostSums / (rows * kParts))); }

template <int kRows, int kBlocks>
HWY_INLINE void product_block(const RowProducts& p, const float* HWY_RESTRICT a,
                              const float* HWY_RESTRICT b, float* HWY_RESTRICT out) {
  const FloatTag d;
  constexpr int kColumns = kBlocks * kParts;
  Floats sum[kRows][kColumns];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c)
      sum[r][c] = p.accumulate ? hn::LoadU(d, out + r * p.ldo + c * kLanes) : hn::Zero(d);
  for (int64_t t = 0; t < p.depth; ++t) {
    const auto column_at = [&](int c) HWY_ATTR {
      return hn::LoadU(d, b + (c / kParts) * p.b_block + t * p.ldb + (c % kParts) * kLanes);
    };
    const auto factor_at = [&](int r) HWY_ATTR { return hn::Set(d, a[r * p.lda + t]); };
    // The fewer of the two stay in registers beside the sums.
    if constexpr (kColumns <= kRows) {
      Floats column[kColumns];
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c) column[c] = column_at(c);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const auto factor = factor_at(r);
#pragma GCC unroll 16
        for (int c = 0; c < kColumns; ++c) sum[r][c] = hn::MulAdd(factor, column[c], sum[r][c]);
      }
    } else {
      Floats factor[kRows];
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) factor[r] = factor_at(r);
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c) {
        const auto column = column_at(c);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) sum[r][c] = hn::MulAdd(factor[r], column, sum[r][c]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c) hn::StoreU(sum[r][c], d, out + r * p.ldo + c * kLanes);
}

template <int kRows>
HWY_INLINE void product_rows(const RowProducts& p, int64_t row, int64_t blocks) {
  constexpr int kBlocks = blocks_for(kRows);
  const float* a = p.a + row * p.lda;
  float* out = p.out + row * p.ldo;
  int64_t block = 0;
  for (; block + kBlocks <= blocks; block += kBlocks)
    product_block<kRows, kBlocks>(p, a, p.b + block * p.b_block, out + block * 16);
  if constexpr (kBlocks > 1)
    for (; block < blocks; ++block)
      product_block<kRows, 1>(p, a, p.b + block * p.b_block, out + block * 16);
}

template <int kRows>
HWY_INLINE void product_last_rows(const RowProducts& p, int64_t row, int64_t rows, int64_t blocks) {
  if (rows - row >= kRows) {
    product_rows<kRows>(p, row, blocks);
    row += kRows;
  }
  if constexpr (kRows > 1) product_last_rows<next_height(kRows)>(p, row, rows, blocks);
}

/// All `rows` rows and `blocks` blocks.
static HWY_NOINLINE void multiply_rows(const RowProducts& p, int64_t rows, int64_t blocks) {
  int64_t row = 0;
  for (; row + kMaxRows <= rows; row += kMaxRows) product_rows<kMaxRows>(p, row, blocks);
  if constexpr (kMaxRows > 1) product_last_rows<next_height(kMaxRows)>(p, row, rows, blocks);
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
