#pragma once

// The negative log-likelihood of the next tokens and its gradient, in closed form and for some
// positions at a time: logits `[N, V]` of all of them are never held.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dsrasq::train {

struct NextTokenLoss {
  at::Tensor sum;       ///< of the negative log-likelihoods, fp32 or fp64 scalar on the device
  at::Tensor gradient;  ///< of `weight` times the sum for the states `[N, E]`; may be undefined
};

/// `states` `[N, E]`, `head` `[V, E]` of their type, `next` `[N]` Long. `rows`: logits at a time.
/// With `head_gradient` (`[V, E]`, any type) the gradients are made, and the head's is added there.
NextTokenLoss next_token_loss(const at::Tensor& states, const at::Tensor& head,
                              const at::Tensor& next, int64_t rows, double weight = 1,
                              const at::Tensor* head_gradient = nullptr);

/// Log-probabilities of the next tokens `[N]`, fp32 or fp64, without gradients; arguments as above.
at::Tensor next_token_logprobs(const at::Tensor& states, const at::Tensor& head,
                               const at::Tensor& next, int64_t rows);

}  // namespace dsrasq::train
