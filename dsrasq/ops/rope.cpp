#include "dsrasq/ops/rope.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "dsrasq/kernels/rows.h"

namespace dsrasq::ops {
Rope::Angles Rope::angles(int64_t first, int64_t n, at::Device device, int64_t step) const {
  const auto half = static_cast<int64_t>(inv_freq_.size());
  Angles angles{at::empty({n, half}, at::kFloat), at::empty({n, half}, at::kFloat)};
  auto* cos = angles.cos.mutable_data_ptr<float>();
  auto* sin = angles.sin.mutable_data_ptr<float>();
  for (int64_t t = 0; t < n; ++t)
    for (int64_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(first + t * step) * inv_freq_[static_cast<size_t>(i)];
      cos[t * half + i] = static_cast<float>(std::cos(angle));
      sin[t * half + i] = static_cast<float>(std::sin(angle));
    }
  return {angles.cos.to(device), angles.sin.to(device)};
}

at::Tensor rotate(const at::Tensor& x, const Rope::Angles& angles) {
  if (x.device().is_cpu() && x.scalar_type() == at::kFloat && !x.requires_grad()) {
    const at::Tensor rows = x.contiguous();
    at::Tensor y = at::empty_like(rows);
    const int64_t stride = x.size(1) * x.size(2);
    kernels::rope_half_split({.shape = {.rows = x.size(0),
                                        .groups = x.size(1),
                                        .width = x.size(2),
                                        .x_stride = stride,
                                        .y_stride = stride},
                              .x = rows.const_data_ptr<float>(),
                              .cos = angles.cos.const_data_ptr<float>(),
                              .sin = angles.sin.const_data_ptr<float>(),
                              .y = y.mutable_data_ptr<float>()});
    return y;
  }
  const int64_t half = x.size(2) / 2;
  const at::Tensor x1 = x.narrow(2, 0, half), x2 = x.narrow(2, half, half);
  const at::Tensor cos = angles.cos.unsqueeze(1), sin = angles.sin.unsqueeze(1);
  return at::cat({x1 * cos - x2 * sin, x2 * cos + x1 * sin}, 2).to(x.scalar_type());
}

}  // namespace dsrasq::ops
