// Per-target header: compiled once per instruction set by the files that include it.
// Elementary functions after Cephes' expf: within 2 units in the last place. Their bits are the
// same on every instruction set unless said otherwise: no fused multiply-add, a fixed order of
// operations.

#if defined(DSRASQ_KERNELS_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_VECTOR_MATH_INL_H_
#undef DSRASQ_KERNELS_VECTOR_MATH_INL_H_
#else
#define DSRASQ_KERNELS_VECTOR_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// At most 16 floats: the tokens of a page or tile, or a part of them.
using FloatTag = hn::CappedTag<float, 16>;
using Floats = hn::Vec<FloatTag>;
using Int32Tag = hn::RebindToSigned<FloatTag>;
using Int32s = hn::Vec<Int32Tag>;
inline constexpr int kLanes = HWY_MIN(HWY_LANES(float), 16);
inline constexpr int kParts = 16 / kLanes;  ///< vectors a tile of 16
inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// e^x for x <= 88; exactly 1 at 0 and exactly 0 below -87.3, at -infinity and for NaN.
HWY_INLINE Floats exp_of(Floats x) {
  const FloatTag d;
  const Int32Tag di;
  const auto is_normal = hn::Ge(x, hn::Set(d, -87.3f));
  const auto clamped = hn::Min(hn::Max(x, hn::Set(d, -88.0f)), hn::Set(d, 88.0f));
  const auto n = hn::NearestInt(hn::Mul(clamped, hn::Set(d, 1.44269504088896341f)));
  const auto nf = hn::ConvertTo(d, n);
  auto r = hn::Sub(clamped, hn::Mul(nf, hn::Set(d, 0.693359375f)));
  r = hn::Sub(r, hn::Mul(nf, hn::Set(d, -2.12194440e-4f)));
  const auto step = [&](Floats p, float c)
                        HWY_ATTR { return hn::Add(hn::Mul(p, r), hn::Set(d, c)); };
  auto p = step(hn::Set(d, 1.9875691500e-4f), 1.3981999507e-3f);
  p = step(step(p, 8.3334519073e-3f), 4.1665795894e-2f);
  p = step(step(p, 1.6666665459e-1f), 5.0000001201e-1f);
  const auto y = hn::Add(hn::Add(hn::Mul(p, hn::Mul(r, r)), r), hn::Set(d, 1.0f));
  const auto power = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
  return hn::IfThenElseZero(is_normal, hn::Mul(y, power));
}

/// e^x for x <= 0; exactly 1 at 0 and exactly 0 below -87.3, at -infinity and for NaN. Cheaper than
/// `exp_of` because it may fuse, so its bits differ between instruction sets.
HWY_INLINE Floats exp_below_zero(Floats x) {
  const FloatTag d;
  const Int32Tag di;
  const auto magic = hn::Set(d, 12582912.0f);  // 1.5 * 2^23: the sum's last bits are the integer
  const auto is_normal = hn::Ge(x, hn::Set(d, -87.3f));
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504088896341f), magic);
  const auto n = hn::Sub(shifted, magic);
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  auto p = hn::MulAdd(hn::Set(d, 1.9875691500e-4f), r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  const auto one = hn::Set(d, 1.0f);
  p = hn::MulAdd(hn::MulAdd(p, r, one), r, one);
  const auto power = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  return hn::IfThenElseZero(is_normal, hn::BitCast(d, hn::Add(hn::BitCast(di, p), power)));
}

/// tanh(x), absolute error below 2e-7.
HWY_INLINE Floats tanh_of(Floats x) {
  const FloatTag d;
  const auto one = hn::Set(d, 1.0f);
  const auto e = exp_of(hn::Mul(hn::Set(d, -2.0f), hn::Abs(x)));
  return hn::CopySignToAbs(hn::Div(hn::Sub(one, e), hn::Add(one, e)), x);
}

/// The sum of all lanes, first to last.
HWY_INLINE float ordered_sum(Floats v) {
  const FloatTag d;
  HWY_ALIGN float lanes[kLanes];
  hn::Store(v, d, lanes);
  float sum = lanes[0];
  for (int i = 1; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
