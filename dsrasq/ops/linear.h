#pragma once

// A weight matrix and its product with rows of activations, on whatever device it lives.

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/kernels/packed_linear.h"

namespace dsrasq::ops {

/// y = x W^T + b with W `[N, K]`. On the CPU the weights stay quantised as the file has them, and
/// bits do not depend on how many rows a call has (kernels/packed_linear.h). On a GPU, and wherever
/// gradients are wanted, W is an ordinary tensor.
class Linear {
 public:
  Linear() = default;
  /// The matrices stacked by rows, e.g. q, k and v as one. `bias` may be empty. `dtype` is that of
  /// a dense weight, `products` for the CPU's packed form.
  Linear(const std::vector<const checkpoint::TensorRef*>& parts,
         const std::vector<const checkpoint::TensorRef*>& biases, at::Device device,
         at::ScalarType dtype, bool packed, kernels::Products products = kernels::Products::kFp32);
  /// A dense weight `[N, K]`; `bias` is `[N]` or undefined.
  static Linear dense(at::Tensor weight, at::Tensor bias = {});
  /// A weight `[N, K]` of this process, packed for the CPU kernels: as fp16 where that is exact,
  /// else as fp32.
  static Linear packed(const at::Tensor& weight, at::Tensor bias = {});

  /// `[T, K]` to `[T, N]`.
  at::Tensor operator()(const at::Tensor& x) const;
  /// Rows of W, for an embedding: ids `[T]` (Long, on the CPU) to `[T, K]`.
  at::Tensor rows(const at::Tensor& ids) const;

  int64_t out_features() const;
  size_t bytes() const;
  /// Whether both are one matrix in memory (a head tied to its embedding).
  bool shares_weight(const Linear& other) const {
    return packed_ == other.packed_ && weight_.is_same(other.weight_);
  }
  explicit operator bool() const { return packed_ != nullptr || weight_.defined(); }

 private:
  struct Packed;
  std::shared_ptr<const Packed> packed_;
  at::Tensor weight_;  // [N, K]
  at::Tensor bias_;    // [N] or undefined
  kernels::Products products_ = kernels::Products::kFp32;
};

}  // namespace dsrasq::ops
