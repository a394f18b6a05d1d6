#include "dsrasq/train/lm_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

#include "dsrasq/ops/rows.h"

namespace dsrasq::train {

NextTokenLoss next_token_loss(const at::Tensor& states, const at::Tensor& head,
                              const at::Tensor& next, int64_t rows, double weight,
                              const at::Tensor* head_gradient) {
  const at::NoGradGuard no_grad;
  const int64_t n = states.size(0);
  NextTokenLoss loss;
  if (head_gradient != nullptr) loss.gradient = at::empty_like(states);
  for (int64_t begin = 0; begin < n; begin += rows) {
    const int64_t here = std::min(rows, n - begin);
    const at::Tensor own = states.narrow(0, begin, here);
    const at::Tensor wanted = next.narrow(0, begin, here).unsqueeze(1);
    at::Tensor logits = ops::at_least_float(at::linear(own, head));
    const at::Tensor mass = logits.logsumexp({1}, true);
    const at::Tensor sum = (mass - logits.gather(1, wanted)).sum();
    loss.sum = loss.sum.defined() ? loss.sum + sum : sum;
    if (head_gradient == nullptr) continue;
    // d nll / d logit: the token's probability, less 1 for the one that came.
    logits.sub_(mass).exp_();
    logits.scatter_add_(1, wanted, at::full_like(mass, -1));
    const at::Tensor d_logits = logits.mul_(weight).to(states.scalar_type());
    loss.gradient.narrow(0, begin, here).copy_(d_logits.matmul(head));
    head_gradient->add_(d_logits.t().matmul(own));
  }
  return loss;
}

at::Tensor next_token_logprobs(const at::Tensor& states, const at::Tensor& head,
                               const at::Tensor& next, int64_t rows) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < states.size(0); begin += rows) {
    const int64_t here = std::min(rows, states.size(0) - begin);
    const at::Tensor logits = ops::at_least_float(at::linear(states.narrow(0, begin, here), head));
    parts.push_back(
        logits.log_softmax(1).gather(1, next.narrow(0, begin, here).unsqueeze(1)).squeeze(1));
  }
  return at::cat(parts);
}

}  // namespace dsrasq::train
