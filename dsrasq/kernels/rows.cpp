// Highway compiles these once per instruction set and picks one at run time.
#include "dsrasq/kernels/rows.h"

#include "dsrasq/kernels/simd_targets.h"  // before Highway

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/rows.cpp"
#include <hwy/foreach_target.h>  // before highway.h

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/part_vectors-inl.h"
#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace {

// The sum of term(x[i]) in an order that n alone decides.
template <class Term>
HWY_INLINE float sum_over(const float* x, int64_t n, Term term) {
  const FloatTag d;
  Floats even = hn::Zero(d), odd = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    even = hn::Add(even, term(hn::LoadU(d, x + i)));
    odd = hn::Add(odd, term(hn::LoadU(d, x + i + kLanes)));
  }
  for (; i < n; i += kLanes) {
    const auto filled = hn::FirstN(d, static_cast<size_t>(n - i));
    even = hn::Add(even, hn::IfThenElseZero(filled, term(load_part(x + i, n - i))));
  }
  return ordered_sum(hn::Add(even, odd));
}

// y[i] = fn(i, x[i]) for i < n, where fn takes and gives vectors and `left`, how many are there.
template <class Fn>
HWY_INLINE void map(const float* x, float* y, int64_t n, Fn fn) {
  for (int64_t i = 0; i < n; i += kLanes)
    store_part(fn(i, n - i, load_part(x + i, n - i)), y + i, n - i);
}

// Calls fn(x, y) for each vector of rows [begin, end).
template <class Fn>
HWY_INLINE void each_vector(const RowShape& s, const float* x, float* y, int64_t begin, int64_t end,
                            Fn fn) {
  for (int64_t r = begin; r < end; ++r)
    for (int64_t g = 0; g < s.groups; ++g)
      fn(x + r * s.x_stride + g * s.width, y + r * s.y_stride + g * s.width);
}

// v / (1 + e^-t), without overflow for any t.
HWY_INLINE Floats times_sigmoid(Floats v, Floats t) {
  const FloatTag d;
  const auto e = exp_of(hn::Neg(hn::Abs(t)));
  const auto top = hn::IfThenElse(hn::Lt(t, hn::Zero(d)), hn::Mul(v, e), v);
  return hn::Div(top, hn::Add(hn::Set(d, 1.0f), e));
}

// (1 + tanh u) / 2 is the sigmoid of 2 u, which does not cancel for negative u.
HWY_INLINE Floats gelu_tanh(Floats v) {
  const FloatTag d;
  const auto cube = hn::Mul(hn::Mul(v, v), v);
  const auto inner = hn::MulAdd(hn::Set(d, 0.044715f), cube, v);
  return times_sigmoid(v, hn::Mul(hn::Set(d, 1.5957691216057308f), inner));
}

template <class Act>
HWY_INLINE void gated(const GatedParams& p, int64_t begin, int64_t end, Act act) {
  for (int64_t r = begin; r < end; ++r) {
    const float* gate = p.x + r * p.x_stride;
    map(gate, p.y + r * p.y_stride, p.width, [&](int64_t i, int64_t left, Floats v) HWY_ATTR {
      return hn::Mul(act(v), load_part(gate + p.width + i, left));
    });
  }
}

}  // namespace

void rms_norm_rows(const RmsNormParams& p, int64_t begin, int64_t end) {
  const FloatTag d;
  const int64_t n = p.shape.width;
  each_vector(p.shape, p.x, p.y, begin, end, [&](const float* x, float* y) HWY_ATTR {
    const float squares = sum_over(x, n, [](Floats v) HWY_ATTR { return hn::Mul(v, v); });
    const auto factor = hn::Set(d, 1 / std::sqrt(squares / static_cast<float>(n) + p.eps));
    const auto offset = hn::Set(d, p.weight_offset);
    map(x, y, n, [&](int64_t i, int64_t left, Floats v) HWY_ATTR {
      return hn::Mul(hn::Mul(v, factor), hn::Add(load_part(p.weight + i, left), offset));
    });
  });
}

void layer_norm_rows(const LayerNormParams& p, int64_t begin, int64_t end) {
  const FloatTag d;
  const int64_t n = p.shape.width;
  const auto width = static_cast<float>(n);
  each_vector(p.shape, p.x, p.y, begin, end, [&](const float* x, float* y) HWY_ATTR {
    const float sum = sum_over(x, n, [](Floats v) HWY_ATTR { return v; });
    const auto mean = hn::Set(d, sum / width);
    const float squares = sum_over(x, n, [&](Floats v) HWY_ATTR {
      const auto off = hn::Sub(v, mean);
      return hn::Mul(off, off);
    });
    const auto factor = hn::Set(d, 1 / std::sqrt(squares / width + p.eps));
    map(x, y, n, [&](int64_t i, int64_t left, Floats v) HWY_ATTR {
      return hn::MulAdd(hn::Mul(hn::Sub(v, mean), factor), load_part(p.weight + i, left),
                        load_part(p.bias + i, left));
    });
  });
}

void silu_mul_rows(const GatedParams& p, int64_t begin, int64_t end) {
  gated(p, begin, end, [](Floats v) HWY_ATTR { return times_sigmoid(v, v); });
}

void gelu_tanh_mul_rows(const GatedParams& p, int64_t begin, int64_t end) {
  gated(p, begin, end, [](Floats v) HWY_ATTR { return gelu_tanh(v); });
}

void rope_rows(const RopeParams& p, int64_t begin, int64_t end) {
  const int64_t half = p.shape.width / 2;
  for (int64_t r = begin; r < end; ++r) {
    const float *cos = p.cos + r * half, *sin = p.sin + r * half;
    each_vector(p.shape, p.x, p.y, r, r + 1, [&](const float* x, float* y) HWY_ATTR {
      for (int64_t i = 0; i < half; i += kLanes) {
        const int64_t left = half - i;
        const auto c = load_part(cos + i, left), s = load_part(sin + i, left);
        const auto a = load_part(x + i, left), b = load_part(x + half + i, left);
        store_part(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), y + i, left);
        store_part(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), y + half + i, left);
      }
    });
  }
}

void add_part(float* x, const float* y, int64_t n) {
  map(x, x, n, [&](int64_t i, int64_t left, Floats v) HWY_ATTR {
    return hn::Add(v, load_part(y + i, left));
  });
}

void scale_part(float* x, float factor, int64_t n) {
  const auto by = hn::Set(FloatTag(), factor);
  map(x, x, n, [&](int64_t, int64_t, Floats v) HWY_ATTR { return hn::Mul(v, by); });
}

void softcap_part(float* x, float cap, int64_t n) {
  const auto most = hn::Set(FloatTag(), cap);
  map(x, x, n, [&](int64_t, int64_t, Floats v) HWY_ATTR {
    return hn::Mul(most, tanh_of(hn::Div(v, most)));
  });
}

const char* rows_target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {
namespace {

HWY_EXPORT(rms_norm_rows);
HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(silu_mul_rows);
HWY_EXPORT(gelu_tanh_mul_rows);
HWY_EXPORT(rope_rows);
HWY_EXPORT(add_part);
HWY_EXPORT(scale_part);
HWY_EXPORT(softcap_part);
HWY_EXPORT(rows_target_name);

// Floats that are worth a hand-over to another thread: some 5 microseconds of work.
constexpr int64_t kGrainFloats = 32768;

template <class Body>
void for_rows(int64_t rows, int64_t floats_per_row, Body body) {
  parallel_for(rows, std::max<int64_t>(1, kGrainFloats / std::max<int64_t>(1, floats_per_row)),
               body);
}

}  // namespace

void rms_norm(const RmsNormParams& p) {
  for_rows(p.shape.rows, p.shape.groups * p.shape.width, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(rms_norm_rows)(p, begin, end);
  });
}

void layer_norm(const LayerNormParams& p) {
  for_rows(p.shape.rows, p.shape.groups * p.shape.width, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(layer_norm_rows)(p, begin, end);
  });
}

void silu_mul(const GatedParams& p) {
  for_rows(p.rows, 4 * p.width, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(silu_mul_rows)(p, begin, end);
  });
}

void gelu_tanh_mul(const GatedParams& p) {
  for_rows(p.rows, 4 * p.width, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_tanh_mul_rows)(p, begin, end);
  });
}

void rope_half_split(const RopeParams& p) {
  for_rows(p.shape.rows, p.shape.groups * p.shape.width, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(rope_rows)(p, begin, end);
  });
}

void add(float* x, const float* y, int64_t n) {
  for_rows(n, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_part)(x + begin, y + begin, end - begin);
  });
}

void scale(float* x, float factor, int64_t n) {
  for_rows(n, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale_part)(x + begin, factor, end - begin);
  });
}

void softcap(float* x, float cap, int64_t n) {
  for_rows(n, 4, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(softcap_part)(x + begin, cap, end - begin);
  });
}

const char* rows_target() { return HWY_DYNAMIC_DISPATCH(rows_target_name)(); }

}  // namespace dsrasq::kernels
#endif
