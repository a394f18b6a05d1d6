// Writes a tile's sums. Compiled once per instruction set, so the guard below toggles instead of
// `#pragma once`.

#if defined(DSRASQ_KERNELS_PACKED_LINEAR_STORE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_PACKED_LINEAR_STORE_INL_H_
#undef DSRASQ_KERNELS_PACKED_LINEAR_STORE_INL_H_
#else
#define DSRASQ_KERNELS_PACKED_LINEAR_STORE_INL_H_
#endif

#include "dsrasq/kernels/packed_linear_call.h"
#include "dsrasq/kernels/packed_linear_decode-inl.h"
#include "dsrasq/kernels/part_vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace {

HWY_INLINE const uint8_t* panel_at(const LinearCall& call, const PanelRun& run, int64_t panel) {
  return reinterpret_cast<const uint8_t*>(call.data) + run.offset + panel * run.panel_bytes;
}

// Writes sum[kRows][kCount], plus bias, to `rows` rows at `column`; `n` columns are there.
template <int kRows, int kCount>
HWY_INLINE void store_sums(const Floats* sum, const LinearCall& call, int64_t row, int64_t rows,
                           int64_t column, int64_t n, bool with_bias) {
  unroll<kCount>([&](auto c) DSRASQ_INLINE_LAMBDA {
    const int64_t left = n - c * kLanes, at = column + c * kLanes;
    if (left <= 0) return;
    const Floats bias = with_bias ? load_part(call.bias + at, left) : hn::Zero(FloatTag());
    unroll<kRows>([&](auto r) DSRASQ_INLINE_LAMBDA {
      if (r >= rows) return;
      const Floats v = sum[r * kCount + c];
      store_part(with_bias ? hn::Add(v, bias) : v, call.y + (row + r) * call.y_stride + at, left);
    });
  });
}

}  // namespace
}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DSRASQ_KERNELS_PACKED_LINEAR_STORE_INL_H_
