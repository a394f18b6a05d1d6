#include "dsrasq/train/parameter_bank.h"

#include <ATen/Functions.h>

namespace dsrasq::train {

ParameterBank::ParameterBank(const std::vector<at::Tensor>& values, at::Device device) {
  std::vector<at::Tensor> flat;
  for (const at::Tensor& value : values) flat.push_back(value.detach().to(device).reshape({-1}));
  matrix_ = flat.empty() ? at::zeros({1, 0}, at::TensorOptions(device).dtype(at::kFloat))
                         : at::cat(flat).unsqueeze(0);
  gradient_ = at::zeros_like(matrix_);
  int64_t first = 0;
  for (const at::Tensor& value : values) {
    const auto part = [&](const at::Tensor& all) {
      return all.select(0, 0).narrow(0, first, value.numel()).view(value.sizes());
    };
    gradients_.push_back(part(gradient_));
    // A leaf of its own that shares the memory: a gradient lands in its part of the row at once.
    leaves_.push_back(part(matrix_).detach().requires_grad_(true));
    leaves_.back().mutable_grad() = gradients_.back();
    first += value.numel();
  }
}

}  // namespace dsrasq::train
