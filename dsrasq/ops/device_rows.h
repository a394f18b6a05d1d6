#pragma once

// The GPU's kernels for steps of rows.h, where this program was built with them.

#include <ATen/core/Tensor.h>

#include <optional>

namespace dsrasq::ops {

/// Nothing where ATen has to do it: no kernels, another type than bf16, gradients wanted, odd rows.
std::optional<at::Tensor> rms_norm_on_device(const at::Tensor& x, const at::Tensor& weight,
                                             double eps);
std::optional<at::Tensor> gated_on_device(const at::Tensor& gate_up, bool is_gelu);

}  // namespace dsrasq::ops
