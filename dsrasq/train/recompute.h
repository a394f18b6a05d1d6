#pragma once

// Memory for time: a function of tensors that keeps its inputs alone, and is computed again when
// gradients flow back through it (Chen et al. 2016).

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace dsrasq::train {

using TensorFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// The tensors that `function` makes of `inputs` (any of which may be undefined), differentiable in
/// the inputs that require gradients. It is called once without gradients, and once more with them
/// for every backward pass, and has to return the same values each time. What it captures must
/// outlive the backward pass and gets no gradient.
std::vector<at::Tensor> recomputed(TensorFunction function, const std::vector<at::Tensor>& inputs);

}  // namespace dsrasq::train
