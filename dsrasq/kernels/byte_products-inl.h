// Per-target header: compiled once per instruction set by the files that include it.
// Sums of products of an unsigned and a signed byte, two in each half of a lane, on x86 without
// VNNI. Whether they fit into 16 bits is up to the caller.

#if defined(DSRASQ_KERNELS_BYTE_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_BYTE_PRODUCTS_INL_H_
#undef DSRASQ_KERNELS_BYTE_PRODUCTS_INL_H_
#else
#define DSRASQ_KERNELS_BYTE_PRODUCTS_INL_H_
#endif

#include <hwy/highway.h>

#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3
HWY_INLINE Int32s byte_products(Int32s unsigned_bytes, Int32s signed_bytes) {
  return Int32s{_mm512_maddubs_epi16(unsigned_bytes.raw, signed_bytes.raw)};
}
HWY_INLINE Int32s add_halves(Int32s a, Int32s b) { return Int32s{_mm512_add_epi16(a.raw, b.raw)}; }
HWY_INLINE Int32s sum_halves(Int32s a) {
  return Int32s{_mm512_madd_epi16(a.raw, _mm512_set1_epi16(1))};
}
#elif HWY_TARGET == HWY_AVX2
HWY_INLINE Int32s byte_products(Int32s unsigned_bytes, Int32s signed_bytes) {
  return Int32s{_mm256_maddubs_epi16(unsigned_bytes.raw, signed_bytes.raw)};
}
HWY_INLINE Int32s add_halves(Int32s a, Int32s b) { return Int32s{_mm256_add_epi16(a.raw, b.raw)}; }
HWY_INLINE Int32s sum_halves(Int32s a) {
  return Int32s{_mm256_madd_epi16(a.raw, _mm256_set1_epi16(1))};
}
#endif

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DSRASQ_KERNELS_BYTE_PRODUCTS_INL_H_
