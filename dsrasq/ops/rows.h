#pragma once

// Row-wise steps of a transformer layer. CPU fp32 tensors go to kernels/rows.h, whose bits do not
// depend on the number of rows; everything else, and whatever needs gradients, to ATen.

#include <ATen/core/Tensor.h>

#include "dsrasq/checkpoint/model_config.h"

namespace dsrasq::ops {

/// fp64 as it is, everything else as fp32.
at::Tensor at_least_float(const at::Tensor& x);

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension, in fp32 inside.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// `[T, 2F]` (gate first, then up) to act(gate) * up `[T, F]`.
at::Tensor gated(const at::Tensor& gate_up, checkpoint::Activation activation);

/// Columns [first, first + width) of `[T, C]` as a tensor of their own. Never on ATen's threads,
/// which spin after each copy on the processors that the kernels' threads want.
at::Tensor columns(const at::Tensor& x, int64_t first, int64_t width);

/// x += y, in place where neither needs a gradient.
at::Tensor add(const at::Tensor& x, const at::Tensor& y);

/// cap * tanh(x / cap); the input when cap is 0.
at::Tensor softcap(const at::Tensor& x, double cap);

}  // namespace dsrasq::ops
