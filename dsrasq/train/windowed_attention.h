#pragma once

// Causal attention to the last `window` tokens, for training: whole stretches at once, with
// gradients, and without the products that a mask over everything would waste.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dsrasq::train {

/// Query i reads keys j with i - window < j <= i. All `[B, H, T, D]`; returns the same.
at::Tensor windowed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              int64_t window, double scale);

}  // namespace dsrasq::train
