// Per-target header: compiled once per instruction set by the files that include it.
// Tokens outside the window, picked by pointers to their rows, int8 codes or floats: turned by
// their distance, multiplied with the heads that share the KV head, and added by weight. A token's
// dot product has the same bits at any place of a group and in any company.

#if defined(DSRASQ_KERNELS_FAR_TOKENS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_FAR_TOKENS_INL_H_
#undef DSRASQ_KERNELS_FAR_TOKENS_INL_H_
#else
#define DSRASQ_KERNELS_FAR_TOKENS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Distances are split into a multiple of this and a rest, so that few rows of the angle table are
/// read and stay in the first caches; a row a distance would be megabytes.
inline constexpr int64_t kCoarseDistance = 77;

template <class D>
HWY_INLINE hn::Vec<D> load_floats(D d, const float* p) {
  return hn::LoadU(d, p);
}

template <class D>
HWY_INLINE hn::Vec<D> load_floats(D d, const int8_t* p) {
  const hn::RebindToSigned<D> di;
  return hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(hn::Rebind<int8_t, D>(), p)));
}

/// Turns the pairs (x[i], x[i + D / 2]) by +angle.
static HWY_INLINE void rotate_row(float* HWY_RESTRICT x, const float* HWY_RESTRICT cos,
                                  const float* HWY_RESTRICT sin, int64_t D) {
  const int64_t half = D / 2;
  const auto rotate = [&](auto d, int64_t i) HWY_ATTR {
    const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + half + i);
    const auto c = hn::LoadU(d, cos + i), s = hn::LoadU(d, sin + i);
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, x + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, x + half + i);
  };
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) rotate(FloatTag(), i);
  for (; i < half; i += HWY_MIN(kLanes, 8)) rotate(hn::CappedTag<float, 8>(), i);
}

/// out[D] = the row times `scale`, with its pairs turned by -angle(distance), which may be
/// negative, for `cos` and `sin` [*, D / 2].
template <class T>
HWY_INLINE void load_turned_row(const T* HWY_RESTRICT row, float scale, const float* cos,
                                const float* sin, int64_t distance, int64_t D,
                                float* HWY_RESTRICT out) {
  const int64_t half = D / 2;
  const int64_t size = distance < 0 ? -distance : distance;
  const int64_t fine = size % kCoarseDistance * half;
  const int64_t coarse = size / kCoarseDistance * kCoarseDistance * half;
  const float sin_scale = distance < 0 ? -scale : scale;
  const auto turn = [&](auto d, int64_t i) HWY_ATTR {
    const auto c1 = hn::LoadU(d, cos + coarse + i), s1 = hn::LoadU(d, sin + coarse + i);
    const auto c2 = hn::LoadU(d, cos + fine + i), s2 = hn::LoadU(d, sin + fine + i);
    const auto c = hn::Mul(hn::Set(d, scale), hn::NegMulAdd(s1, s2, hn::Mul(c1, c2)));
    const auto s = hn::Mul(hn::Set(d, sin_scale), hn::MulAdd(s1, c2, hn::Mul(c1, s2)));
    const auto a = load_floats(d, row + i), b = load_floats(d, row + half + i);
    hn::StoreU(hn::MulAdd(b, s, hn::Mul(a, c)), d, out + i);
    hn::StoreU(hn::NegMulAdd(a, s, hn::Mul(b, c)), d, out + half + i);
  };
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) turn(FloatTag(), i);
  for (; i < half; i += HWY_MIN(kLanes, 8)) turn(hn::CappedTag<float, 8>(), i);
}

/// A vector for each of a few query heads.
template <int kHeads>
struct HeadSums {
  Floats head[kHeads];
};

// Rows whose products are in flight together, as the registers hold.
constexpr int rows_at_once(int heads) {
  if (kLanes == 16) return 4;
  return kLanes == 8 && heads <= 3 ? 4 : HWY_MIN(kLanes, 2);
}

#if HWY_TARGET != HWY_SCALAR
// One level of adding up neighbouring lanes, from `kRows / 2` rows a vector to `kRows`.
template <int kRows>
HWY_INLINE Floats join_sums(Floats high, Floats low) {
  const FloatTag d;
#if HWY_TARGET == HWY_AVX2
  // The last level puts the rows in order. Those before add the same lanes as ConcatEven and
  // ConcatOdd would, without their way across the halves of the vector.
  if constexpr (kRows < kLanes) {
    return hn::Add(Floats{_mm256_shuffle_ps(low.raw, high.raw, 0x88)},
                   Floats{_mm256_shuffle_ps(low.raw, high.raw, 0xDD)});
  } else {
    return hn::Add(hn::ConcatLowerLower(d, high, low), hn::ConcatUpperUpper(d, high, low));
  }
#else
  return hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
#endif
}
#endif

/// Lane t of head r: row index[t] of `rows` [*, D] times q[r], for kRows rows that fill a vector
/// and `q` [kHeads, D]. Sums of neighbouring lanes are added level by level.
template <int kRows, int kHeads, class T>
HWY_INLINE HeadSums<kHeads> dot_rows(const T* rows, const int32_t* index, const float* q,
                                     int64_t D) {
  const FloatTag d;
  HeadSums<kHeads> low, high;
  if constexpr (kRows > rows_at_once(kHeads)) {
    low = dot_rows<kRows / 2, kHeads>(rows, index, q, D);
    high = dot_rows<kRows / 2, kHeads>(rows, index + kRows / 2, q, D);
  } else {
    const T* row_of[kRows];
#pragma GCC unroll 4
    for (int t = 0; t < kRows; ++t) row_of[t] = rows + index[t] * D;
    Floats sum[kRows][kHeads];
#pragma GCC unroll 4
    for (int t = 0; t < kRows; ++t)
#pragma GCC unroll 4
      for (int r = 0; r < kHeads; ++r) sum[t][r] = hn::Zero(d);
    for (int64_t i = 0; i < D; i += kLanes) {
      Floats query[kHeads];
#pragma GCC unroll 4
      for (int r = 0; r < kHeads; ++r) query[r] = hn::LoadU(d, q + r * D + i);
#pragma GCC unroll 4
      for (int t = 0; t < kRows; ++t) {
        const auto row = load_floats(d, row_of[t] + i);
#pragma GCC unroll 4
        for (int r = 0; r < kHeads; ++r) sum[t][r] = hn::MulAdd(row, query[r], sum[t][r]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kHeads; ++r) {
#if HWY_TARGET != HWY_SCALAR
      if constexpr (kRows == 4) {
        low.head[r] = join_sums<2>(sum[1][r], sum[0][r]);
        high.head[r] = join_sums<2>(sum[3][r], sum[2][r]);
      } else {
        low.head[r] = sum[0][r];
        high.head[r] = sum[1][r];
      }
#else
      low.head[r] = sum[0][r];
#endif
    }
  }
#if HWY_TARGET != HWY_SCALAR
#pragma GCC unroll 4
  for (int r = 0; r < kHeads; ++r) low.head[r] = join_sums<kRows>(high.head[r], low.head[r]);
#endif
  return low;
}

template <int kHeads, class T>
HWY_INLINE void score_heads(const T* rows, const int32_t* index, const float* scale, const float* q,
                            int64_t D, float* out, int64_t ldo) {
  const FloatTag d;
  for (int t = 0; t < 16; t += kLanes) {
    auto sums = dot_rows<kLanes, kHeads>(rows, index + t, q, D);
    if (scale != nullptr) {
      const auto factor = hn::LoadU(d, scale + t);
#pragma GCC unroll 4
      for (int r = 0; r < kHeads; ++r) sums.head[r] = hn::Mul(sums.head[r], factor);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kHeads; ++r) hn::StoreU(sums.head[r], d, out + r * ldo + t);
  }
}

/// out[r, t] = (row index[t] of `rows` [*, D]) . q[r] * scale[t] for 16 rows, `q` [heads, D], and
/// out's rows `ldo` apart. No scale: null.
template <class T>
HWY_INLINE void score_rows(const T* rows, const int32_t* index, const float* scale, const float* q,
                           int64_t heads, int64_t D, float* out, int64_t ldo) {
  for (; heads >= 4; heads -= 4, q += 4 * D, out += 4 * ldo)
    score_heads<4>(rows, index, scale, q, D, out, ldo);
  if (heads == 3) score_heads<3>(rows, index, scale, q, D, out, ldo);
  if (heads == 2) score_heads<2>(rows, index, scale, q, D, out, ldo);
  if (heads == 1) score_heads<1>(rows, index, scale, q, D, out, ldo);
}

inline constexpr int64_t kRowsAhead = 32;  // asked for before they are read

// Columns of a sum that stay in registers, with a weight a head and one row.
constexpr int sum_parts(int heads) { return kLanes == 16 || (kLanes == 8 && heads <= 3) ? 4 : 2; }

template <int kHeads, int kColumns>
HWY_INLINE void add_columns(const int8_t* codes, const int32_t* slots, int64_t n, const float* p,
                            int64_t ldp, int64_t D, float* sum) {
  const FloatTag d;
  Floats total[kHeads][kColumns];
#pragma GCC unroll 4
  for (int r = 0; r < kHeads; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) total[r][c] = hn::LoadU(d, sum + r * D + c * kLanes);
  for (int64_t t = 0; t < n; ++t) {
    if (t + kRowsAhead < n) __builtin_prefetch(codes + slots[t + kRowsAhead] * D);
    Floats weight[kHeads];
#pragma GCC unroll 4
    for (int r = 0; r < kHeads; ++r) weight[r] = hn::Set(d, p[r * ldp + t]);
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
      const auto row = load_floats(d, codes + slots[t] * D + c * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kHeads; ++r) total[r][c] = hn::MulAdd(weight[r], row, total[r][c]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kHeads; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) hn::StoreU(total[r][c], d, sum + r * D + c * kLanes);
}

template <int kHeads>
HWY_INLINE void add_heads(const int8_t* codes, const int32_t* slots, int64_t n, const float* p,
                          int64_t ldp, int64_t D, float* sum) {
  constexpr int kColumns = sum_parts(kHeads);
  int64_t i = 0;
  for (; i + kColumns * kLanes <= D; i += kColumns * kLanes)
    add_columns<kHeads, kColumns>(codes + i, slots, n, p, ldp, D, sum + i);
  for (; i < D; i += kLanes) add_columns<kHeads, 1>(codes + i, slots, n, p, ldp, D, sum + i);
}

/// sum[r] += p[r, 0] * row(slots[0]) + p[r, 1] * row(slots[1]) + ..., one chain of multiply-adds
/// for each element, for row(s) = codes[s, D], `sum` [heads, D], and p's rows `ldp` apart.
static HWY_INLINE void add_rows(const int8_t* codes, const int32_t* slots, int64_t n,
                                const float* p, int64_t ldp, int64_t heads, int64_t D, float* sum) {
  for (; heads >= 4; heads -= 4, p += 4 * ldp, sum += 4 * D)
    add_heads<4>(codes, slots, n, p, ldp, D, sum);
  if (heads == 3) add_heads<3>(codes, slots, n, p, ldp, D, sum);
  if (heads == 2) add_heads<2>(codes, slots, n, p, ldp, D, sum);
  if (heads == 1) add_heads<1>(codes, slots, n, p, ldp, D, sum);
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
