#include "dsrasq/train/probe_policy.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace dsrasq::train {

at::Tensor ProbePolicy::attend(const policy::LayerInput& input) {
  DenseAttention attention = DenseAttention::of(input, shape_, d_max_, angles_);
  const at::Tensor out = attend_densely(attention, true);
  if (attention.sliding_window > 0) return out;
  for (at::Tensor* t :
       {&attention.q, &attention.k, &attention.v, &attention.q_far, &attention.k_plain})
    if (t->defined()) *t = t->detach();
  ProbedLayer& layer = layers_[input.layer];
  layer = {.attention = attention,
           .x = input.x.detach(),
           .probe = at::zeros(out.sizes(), out.options().requires_grad(false))};
  layer.probe.requires_grad_(true);
  return out + layer.probe;
}

std::map<int64_t, at::Tensor> ProbePolicy::take_gradients() {
  std::map<int64_t, at::Tensor> gradients;
  for (auto& [index, layer] : layers_) {
    gradients[index] = layer.probe.grad();
    layer.probe.mutable_grad() = at::Tensor();
  }
  return gradients;
}

}  // namespace dsrasq::train
