#pragma once

// Tensors that are trained together, in one matrix of one row: the optimiser, the clipping and a
// checkpoint see that, a forward pass the tensors.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

namespace dsrasq::train {

class ParameterBank {
 public:
  ParameterBank() = default;
  /// Copies of `values`, in their type, on `device`.
  ParameterBank(const std::vector<at::Tensor>& values, at::Device device);

  int64_t size() const { return matrix_.numel(); }
  /// `[1, P]`; writing to it writes to the tensors.
  at::Tensor& matrix() { return matrix_; }
  const at::Tensor& matrix() const { return matrix_; }
  /// Sum of what backward passes gave since it was last zeroed `[1, P]`.
  at::Tensor& gradient() { return gradient_; }

  /// The i-th tensor; gradients for it are added to `gradient()`.
  const at::Tensor& leaf(size_t i) const { return leaves_[i]; }
  /// The part of `gradient()` that belongs to it.
  const at::Tensor& gradient_of(size_t i) const { return gradients_[i]; }

 private:
  at::Tensor matrix_, gradient_;
  std::vector<at::Tensor> leaves_, gradients_;
};

}  // namespace dsrasq::train
