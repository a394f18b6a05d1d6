#include "dsrasq/ops/recompute.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace dsrasq::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kFunction = "function";

// A function as autograd can carry it from the forward to the backward pass.
struct Holder : torch::CustomClassHolder {
  explicit Holder(TensorFunction f) : call(std::move(f)) {}
  TensorFunction call;
};

class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static variable_list forward(AutogradContext* context, const c10::intrusive_ptr<Holder>& holder,
                               at::TensorList inputs) {
    context->set_materialize_grads(false);
    context->saved_data[kFunction] = c10::IValue::make_capsule(
        c10::static_intrusive_pointer_cast<torch::CustomClassHolder>(holder));
    context->save_for_backward(inputs.vec());
    return holder->call(inputs.vec());
  }

  // Gradients for `holder` (none) and every input.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto capsule = context->saved_data[kFunction].toCapsule();
    const auto& holder = static_cast<const Holder&>(*capsule);
    variable_list leaves, wanted, roots, root_gradients;
    for (const at::Tensor& saved : context->get_saved_variables()) {
      leaves.push_back(saved.detach().requires_grad_(saved.requires_grad()));
      if (saved.requires_grad()) wanted.push_back(leaves.back());
    }
    const at::AutoGradMode with_gradients(true);
    const variable_list outputs = holder.call(leaves);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].requires_grad() || !gradients[i].defined()) continue;
      roots.push_back(outputs[i]);
      root_gradients.push_back(gradients[i]);
    }
    variable_list found(wanted.size());
    if (!roots.empty())
      found = torch::autograd::grad(roots, wanted, root_gradients, false, false, true);
    variable_list result(1);  // the holder's
    size_t next = 0;
    for (const at::Tensor& leaf : leaves)
      result.push_back(leaf.requires_grad() ? found[next++] : at::Tensor());
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> recomputed(TensorFunction function, const std::vector<at::Tensor>& inputs) {
  std::vector<bool> is_there;
  variable_list defined;
  for (const at::Tensor& input : inputs) {
    is_there.push_back(input.defined());
    if (input.defined()) defined.push_back(input);
  }
  auto on_defined = [is_there = std::move(is_there),
                     function = std::move(function)](const variable_list& given) {
    variable_list all;
    size_t next = 0;
    for (const bool there : is_there) all.push_back(there ? given[next++] : at::Tensor());
    return function(all);
  };
  return Recomputed::apply(c10::make_intrusive<Holder>(std::move(on_defined)),
                           at::TensorList(defined));
}

at::Tensor recomputed(const std::function<at::Tensor(const at::Tensor&)>& function,
                      const at::Tensor& input) {
  if (!at::GradMode::is_enabled() || !input.requires_grad()) return function(input);
  const TensorFunction on_list = [function](const std::vector<at::Tensor>& t) {
    return std::vector<at::Tensor>{function(t[0])};
  };
  return recomputed(on_list, {input})[0];
}

}  // namespace dsrasq::ops
