// Per-target header: compiled once per instruction set by the files that include it.
// Tokens outside the window, a query at a time: dequantised or copied to float rows, turned by
// their distance where that is below d_max, and multiplied with the heads that share the KV head.

#if defined(DSRASQ_KERNELS_FAR_KEYS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_FAR_KEYS_INL_H_
#undef DSRASQ_KERNELS_FAR_KEYS_INL_H_
#else
#define DSRASQ_KERNELS_FAR_KEYS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// out[D] = codes[D] * scale.
static HWY_INLINE void load_row(const int8_t* HWY_RESTRICT codes, float scale, int64_t D,
                                float* HWY_RESTRICT out) {
  const FloatTag d;
  const Int32Tag di;
  const hn::Rebind<int8_t, FloatTag> d8;
  const auto s = hn::Set(d, scale);
  for (int64_t i = 0; i < D; i += kLanes) {
    const auto code = hn::PromoteTo(di, hn::LoadU(d8, codes + i));
    hn::StoreU(hn::Mul(hn::ConvertTo(d, code), s), d, out + i);
  }
}

/// Turns the pairs (x[i], x[i + D / 2]) by +angle (kSign 1) or -angle (kSign -1).
template <int kSign>
static HWY_INLINE void rotate_row(float* HWY_RESTRICT x, const float* HWY_RESTRICT cos,
                                  const float* HWY_RESTRICT sin, int64_t D) {
  const FloatTag d;
  const int64_t half = D / 2;
  const auto rotate = [&](auto tag, int64_t i) HWY_ATTR {
    const auto a = hn::LoadU(tag, x + i), b = hn::LoadU(tag, x + half + i);
    const auto c = hn::LoadU(tag, cos + i), s = hn::LoadU(tag, sin + i);
    const auto as = hn::Mul(a, s), bs = hn::Mul(b, s);
    const auto ac = hn::Mul(a, c), bc = hn::Mul(b, c);
    hn::StoreU(kSign > 0 ? hn::Sub(ac, bs) : hn::Add(ac, bs), tag, x + i);
    hn::StoreU(kSign > 0 ? hn::Add(bc, as) : hn::Sub(bc, as), tag, x + half + i);
  };
  int64_t i = 0;
  for (; i + kLanes <= half; i += kLanes) rotate(d, i);
  for (; i < half; i += HWY_MIN(kLanes, 8)) rotate(hn::CappedTag<float, 8>(), i);
}

static HWY_INLINE Floats dot_row(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b,
                                 int64_t D) {
  const FloatTag d;
  auto sum = hn::Mul(hn::LoadU(d, a), hn::LoadU(d, b));
  for (int64_t i = kLanes; i < D; i += kLanes)
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  return sum;
}

/// The dot products of `kRows` consecutive rows [kRows, D] with their queries, one a lane. Sums of
/// neighbouring lanes are added level by level, so a row's bits do not depend on its lane.
template <int kRows>
HWY_INLINE Floats dot_rows(const float* HWY_RESTRICT rows, const float* const* queries, int64_t D) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kRows > 1) {
    const FloatTag d;
    const auto low = dot_rows<kRows / 2>(rows, queries, D);
    const auto high = dot_rows<kRows / 2>(rows + kRows / 2 * D, queries + kRows / 2, D);
    return hn::Add(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
  }
#endif
  return dot_row(rows, queries[0], D);
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
