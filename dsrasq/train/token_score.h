#pragma once

// How well a student predicts, token by token: what the policy gradient is rewarded for.

#include <ATen/core/Tensor.h>

#include "dsrasq/model/transformer.h"

namespace dsrasq::train {

/// Of every position of a stretch `[T]`, fp32 on the device.
struct TokenScores {
  at::Tensor kl;               ///< KL(teacher || student) of what is predicted there
  at::Tensor log_probability;  ///< the student's, of the next token; 0 at the last position
};

/// `student` and `teacher` are final states `[T, E]`; `ids` `[T]` on their device. Without
/// gradients, and with logits for some positions at a time.
TokenScores token_scores(const model::Transformer& model, const at::Tensor& student,
                         const at::Tensor& teacher, const at::Tensor& ids);

}  // namespace dsrasq::train
