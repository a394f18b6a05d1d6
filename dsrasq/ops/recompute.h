#pragma once

// Memory for time: a function of tensors that keeps its inputs alone, and is computed again when
// gradients flow back through it (Chen et al. 2016).

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace dsrasq::ops {

using TensorFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// The tensors that `function` makes of `inputs` (any of which may be undefined), differentiable in
/// the inputs that require gradients. It is called once without gradients, and once more with them
/// for every backward pass, and has to return the same values each time. What it captures must
/// outlive the backward pass and gets no gradient.
std::vector<at::Tensor> recomputed(TensorFunction function, const std::vector<at::Tensor>& inputs);

/// One tensor of another; `function` is called as it is where no gradient will flow.
at::Tensor recomputed(const std::function<at::Tensor(const at::Tensor&)>& function,
                      const at::Tensor& input);

}  // namespace dsrasq::ops
