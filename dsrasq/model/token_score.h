#pragma once

// How well a model predicts a text, token by token, and how far it is from another.

#include <ATen/core/Tensor.h>

#include "dsrasq/model/transformer.h"

namespace dsrasq::model {

/// Of every position of a stretch `[T]`, fp32 on the device.
struct TokenScores {
  at::Tensor kl;  ///< KL(teacher || student) of what is predicted there; may be undefined
  at::Tensor log_probability;  ///< the student's, of the next token; 0 at the last position
};

/// `student` and `teacher` are final states `[T, E]` of models with one head; `ids` `[T]` on their
/// device. Without `teacher` there is no KL. Without gradients, and with logits for some positions
/// at a time.
TokenScores token_scores(const Transformer& model, const at::Tensor& student,
                         const at::Tensor& teacher, const at::Tensor& ids);

}  // namespace dsrasq::model
