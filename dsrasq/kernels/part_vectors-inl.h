// Per-target header: compiled once per instruction set by the files that include it.
// Loads and stores that end in the middle of a vector: nothing past the end is touched.

#if defined(DSRASQ_KERNELS_PART_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_PART_VECTORS_INL_H_
#undef DSRASQ_KERNELS_PART_VECTORS_INL_H_
#else
#define DSRASQ_KERNELS_PART_VECTORS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// p[0], ..., p[n - 1] and then zeros.
HWY_INLINE Floats load_part(const float* p, int64_t n) {
  const FloatTag d;
  if (n >= kLanes) return hn::LoadU(d, p);
  HWY_ALIGN float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(d, lanes);
}

/// The first n lanes, or all.
HWY_INLINE void store_part(Floats v, float* p, int64_t n) {
  const FloatTag d;
  if (n >= kLanes) return hn::StoreU(v, d, p);
  HWY_ALIGN float lanes[kLanes];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
