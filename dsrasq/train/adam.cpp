#include "dsrasq/train/adam.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dsrasq::train {

AdamState::AdamState(const at::Tensor& parameters)
    : first(at::zeros_like(parameters)), second(at::zeros_like(parameters)) {}

at::Tensor row_norms(const at::Tensor& gradient) { return gradient.square().sum(1).sqrt_(); }

void adam_step(at::Tensor& parameters, const at::Tensor& gradient, const at::Tensor& norms,
               double learning_rate, const AdamOptions& options, AdamState& state) {
  at::Tensor g = gradient;
  if (options.clip > 0) g = gradient * (options.clip / norms.clamp_min(options.clip)).unsqueeze(1);
  ++state.steps;
  const auto t = static_cast<double>(state.steps);
  state.first.mul_(options.beta1).add_(g, 1 - options.beta1);
  state.second.mul_(options.beta2).addcmul_(g, g, 1 - options.beta2);
  const double correction1 = 1 - std::pow(options.beta1, t);
  const double correction2 = 1 - std::pow(options.beta2, t);
  const at::Tensor scale = (state.second / correction2).sqrt_().add_(options.epsilon);
  if (options.weight_decay > 0) parameters.mul_(1 - learning_rate * options.weight_decay);
  parameters.addcdiv_(state.first, scale, -learning_rate / correction1);
}

double learning_rate(int64_t step, int64_t steps, int64_t warmup, double peak) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double done = std::clamp(static_cast<double>(step - warmup) /
                                     static_cast<double>(std::max<int64_t>(1, steps - warmup)),
                                 0.0, 1.0);
  return peak * (0.02 + 0.98 * 0.5 * (1 + std::cos(std::numbers::pi * done)));
}

}  // namespace dsrasq::train
