// Per-target header: compiled once per instruction set by the files that include it.
// What the attention kernels share: rows of queries, masks, the soft cap, the softmax.
// A "row" is one query head of one query: the `n_rep` heads that share a KV head follow each other.

#if defined(DSRASQ_KERNELS_ATTENTION_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_ATTENTION_ROWS_INL_H_
#undef DSRASQ_KERNELS_ATTENTION_ROWS_INL_H_
#else
#define DSRASQ_KERNELS_ATTENTION_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "dsrasq/kernels/row_products-inl.h"
#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// rows[t * n_rep + r, D] = q[first + t, kv_head * n_rep + r, D] * scale, for `q` [n, H, D].
static inline void pack_query_rows(const float* q, int64_t first, int64_t n_queries, int64_t H,
                                   int64_t kv_head, int64_t n_rep, int64_t D, float scale,
                                   float* rows) {
  const FloatTag d;
  const auto s = hn::Set(d, scale);
  for (int64_t t = 0; t < n_queries; ++t) {
    const float* from = q + ((first + t) * H + kv_head * n_rep) * D;
    for (int64_t i = 0; i < n_rep * D; i += kLanes)
      hn::StoreU(hn::Mul(hn::LoadU(d, from + i), s), d, rows + t * n_rep * D + i);
  }
}

/// Scores of one row before the softmax: the soft cap (0: none), then -infinity outside
/// [first, last), then the largest. `n` is a multiple of 16. -infinity when nothing is visible.
static inline float finish_scores(float* HWY_RESTRICT s, int64_t n, int64_t first, int64_t last,
                                  float softcap) {
  const FloatTag d;
  first = std::clamp<int64_t>(first, 0, n);
  last = std::clamp<int64_t>(last, first, n);
  if (softcap > 0) {
    const auto cap = hn::Set(d, softcap);
    for (int64_t i = 0; i < n; i += kLanes) {
      const auto capped = hn::Mul(cap, tanh_of(hn::Div(hn::LoadU(d, s + i), cap)));
      hn::StoreU(capped, d, s + i);
    }
  }
  std::fill(s, s + first, kMinusInfinity);
  std::fill(s + last, s + n, kMinusInfinity);
  auto most = hn::Set(d, kMinusInfinity);
  for (int64_t i = 0; i < n; i += kLanes) most = hn::Max(most, hn::LoadU(d, s + i));
  return hn::GetLane(hn::MaxOfLanes(d, most));
}

/// s = exp(s - most); adds each value to its lane of `sum`. Masked scores become exactly 0, so
/// they change no bit of the sum.
static HWY_INLINE void exp_scores(float* HWY_RESTRICT s, int64_t n, float most, Floats& sum) {
  const FloatTag d;
  const auto m = hn::Set(d, most);
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto p = exp_of(hn::Sub(hn::LoadU(d, s + i), m));
    hn::StoreU(p, d, s + i);
    sum = hn::Add(sum, p);
  }
}

/// The same at half the cost, for scores of at most `most`; bits differ between instruction sets.
static HWY_INLINE void exp_differences(float* HWY_RESTRICT s, int64_t n, float most, Floats& sum) {
  const FloatTag d;
  const auto m = hn::Set(d, most);
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto p = exp_below_zero(hn::Sub(hn::LoadU(d, s + i), m));
    hn::StoreU(p, d, s + i);
    sum = hn::Add(sum, p);
  }
}

/// x *= factor, `n` a multiple of 16.
static inline void scale_values(float* HWY_RESTRICT x, int64_t n, float factor) {
  const FloatTag d;
  const auto f = hn::Set(d, factor);
  for (int64_t i = 0; i < n; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), f), d, x + i);
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
