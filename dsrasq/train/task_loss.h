#pragma once

// The task's part of the joint loss: how far the student's predictions are from the teacher's, and
// from the text itself.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "dsrasq/model/transformer.h"

namespace dsrasq::train {

struct TaskWeights {
  double kl = 1;      ///< of KL(teacher || student), mean over tokens
  double ce = 0;      ///< of the negative log-likelihood of the next token, mean over tokens
  double answer = 0;  ///< of that of an answer's tokens, mean over them
  std::span<const int64_t> answer_tokens{};  ///< their places, 0 not among them
};

/// Means over a stretch's tokens, fp32 scalars on the device.
struct TaskTerms {
  at::Tensor kl, student_nll, teacher_nll;
  at::Tensor answer_nll, teacher_answer_nll;  ///< means over the answer; 0 without one
  at::Tensor gradient;  ///< of the weighted sum for the student's states `[T, E]`; may be undefined
};

/// `student` and `teacher` are final states `[T, E]`; `ids` `[T]` on their device. Logits are made
/// for some positions at a time, and their gradients at once: `[T, V]` is never held.
TaskTerms task_terms(const model::Transformer& model, const at::Tensor& student,
                     const at::Tensor& teacher, const at::Tensor& ids, const TaskWeights& weights,
                     bool with_gradient);

}  // namespace dsrasq::train
