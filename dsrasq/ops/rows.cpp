#include "dsrasq/ops/rows.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/rows.h"
#include "dsrasq/ops/device_rows.h"

namespace dsrasq::ops {
namespace {

// The kernels read fp32 rows that lie one after another; a tensor that wants gradients needs ATen.
bool kernel_takes(const at::Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == at::kFloat && !x.requires_grad();
}

constexpr int64_t kCopiedRows = 64;  // of some KiB: worth a hand-over to another thread

}  // namespace

at::Tensor at_least_float(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (!kernel_takes(x)) {
    if (const auto y = rms_norm_on_device(x, weight, eps)) return *y;
    const at::Tensor x32 = at_least_float(x);
    const at::Tensor scale = at::rsqrt(at::mean(x32 * x32, {-1}, true) + eps);
    return (x32 * scale * weight).to(x.scalar_type());
  }
  const at::Tensor rows = x.contiguous();
  at::Tensor y = at::empty_like(rows);
  const int64_t width = rows.size(-1);
  kernels::rms_norm({.shape = {.rows = rows.numel() / width,
                               .groups = 1,
                               .width = width,
                               .x_stride = width,
                               .y_stride = width},
                     .x = rows.const_data_ptr<float>(),
                     .weight = weight.const_data_ptr<float>(),
                     .y = y.mutable_data_ptr<float>(),
                     .eps = static_cast<float>(eps)});
  return y;
}

at::Tensor gated(const at::Tensor& gate_up, checkpoint::Activation activation) {
  const int64_t n_ff = gate_up.size(1) / 2;
  if (!kernel_takes(gate_up)) {
    const bool is_gelu = activation != checkpoint::Activation::kSilu;
    if (const auto y = gated_on_device(gate_up, is_gelu)) return *y;
    const at::Tensor gate = gate_up.narrow(1, 0, n_ff), up = gate_up.narrow(1, n_ff, n_ff);
    return (is_gelu ? at::gelu(gate, "tanh") : at::silu(gate)) * up;
  }
  at::Tensor y = at::empty({gate_up.size(0), n_ff}, at::kFloat);
  const at::Tensor rows = gate_up.contiguous();
  const auto kernel =
      activation == checkpoint::Activation::kSilu ? kernels::silu_mul : kernels::gelu_tanh_mul;
  kernel({.rows = rows.size(0),
          .width = n_ff,
          .x = rows.const_data_ptr<float>(),
          .x_stride = 2 * n_ff,
          .y = y.mutable_data_ptr<float>(),
          .y_stride = n_ff});
  return y;
}

at::Tensor columns(const at::Tensor& x, int64_t first, int64_t width) {
  const at::Tensor part = x.narrow(1, first, width);
  if (!kernel_takes(x) || part.is_contiguous()) return part.contiguous();
  at::Tensor y = at::empty({x.size(0), width}, at::kFloat);
  const auto* from = part.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  const int64_t stride = part.stride(0);
  DSRASQ_CHECK(part.stride(1) == 1, kInternal, "ops.rows", "columns do not lie side by side");
  parallel_for(x.size(0), kCopiedRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::copy_n(from + row * stride, width, to + row * width);
  });
  return y;
}

at::Tensor add(const at::Tensor& x, const at::Tensor& y) {
  if (!kernel_takes(x) || y.requires_grad()) return x + y;
  kernels::add(x.mutable_data_ptr<float>(), y.contiguous().const_data_ptr<float>(), x.numel());
  return x;
}

at::Tensor softcap(const at::Tensor& x, double cap) {
  return cap == 0 ? x : at::tanh(x / cap) * cap;
}

}  // namespace dsrasq::ops
