#pragma once

// Attention whose query heads share key/value heads in groups: the query heads of a group are more
// rows of one product. Differentiable, on any device, in the type of the inputs.

#include <ATen/core/Tensor.h>

namespace dsrasq::ops {

/// Dot products of `q` `[H, T, D]` with the keys `[Hkv, N, D]` of their groups: `[H, T, N]`.
at::Tensor grouped_products(const at::Tensor& q, const at::Tensor& keys);
/// Weights `[H, T, N]` times the values `[Hkv, N, D]` of their groups: `[H, T, D]`.
at::Tensor grouped_values(const at::Tensor& weights, const at::Tensor& values);

}  // namespace dsrasq::ops
