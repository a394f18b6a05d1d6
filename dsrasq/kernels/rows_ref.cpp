#include <cmath>

#include "dsrasq/kernels/rows.h"

namespace dsrasq::kernels {
namespace {

template <class Fn>
void each_vector(const RowShape& s, const float* x, float* y, Fn fn) {
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t g = 0; g < s.groups; ++g)
      fn(r, x + r * s.x_stride + g * s.width, y + r * s.y_stride + g * s.width);
}

template <class Act>
void gated(const GatedParams& p, Act act) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const float* x = p.x + r * p.x_stride;
    for (int64_t i = 0; i < p.width; ++i)
      p.y[r * p.y_stride + i] = static_cast<float>(act(double{x[i]}) * x[p.width + i]);
  }
}

}  // namespace

void rms_norm_ref(const RmsNormParams& p) {
  each_vector(p.shape, p.x, p.y, [&](int64_t, const float* x, float* y) {
    double squares = 0;
    for (int64_t i = 0; i < p.shape.width; ++i) squares += double{x[i]} * x[i];
    const double factor = 1 / std::sqrt(squares / p.shape.width + p.eps);
    for (int64_t i = 0; i < p.shape.width; ++i)
      y[i] = static_cast<float>(x[i] * factor * (double{p.weight[i]} + p.weight_offset));
  });
}

void layer_norm_ref(const LayerNormParams& p) {
  each_vector(p.shape, p.x, p.y, [&](int64_t, const float* x, float* y) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < p.shape.width; ++i) sum += x[i];
    const double mean = sum / p.shape.width;
    for (int64_t i = 0; i < p.shape.width; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double factor = 1 / std::sqrt(squares / p.shape.width + p.eps);
    for (int64_t i = 0; i < p.shape.width; ++i)
      y[i] = static_cast<float>((x[i] - mean) * factor * p.weight[i] + p.bias[i]);
  });
}

void silu_mul_ref(const GatedParams& p) {
  gated(p, [](double v) { return v / (1 + std::exp(-v)); });
}

void gelu_tanh_mul_ref(const GatedParams& p) {
  gated(p, [](double v) {
    return v / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
  });
}

void rope_half_split_ref(const RopeParams& p) {
  const int64_t half = p.shape.width / 2;
  each_vector(p.shape, p.x, p.y, [&](int64_t r, const float* x, float* y) {
    for (int64_t i = 0; i < half; ++i) {
      const double a = x[i], b = x[half + i], c = p.cos[r * half + i], s = p.sin[r * half + i];
      y[i] = static_cast<float>(a * c - b * s);
      y[half + i] = static_cast<float>(b * c + a * s);
    }
  });
}

}  // namespace dsrasq::kernels
