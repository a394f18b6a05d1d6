#include "dsrasq/train/task_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

namespace dsrasq::train {
namespace {

// 1 for every token of `n` that is the answer's, 0 for the others: [n, 1].
at::Tensor answer_marks(std::span<const int64_t> answer, int64_t n, at::Device device) {
  std::vector<float> marks(static_cast<size_t>(n));
  for (const int64_t token : answer) marks[static_cast<size_t>(token)] = 1;
  return at::tensor(marks, at::kFloat).to(device, true).unsqueeze(1);
}

}  // namespace

TaskTerms task_terms(const model::Transformer& model, const at::Tensor& student,
                     const at::Tensor& teacher, const at::Tensor& ids, const TaskWeights& weights,
                     bool with_gradient) {
  // The last position predicts a token that the stretch does not have.
  const int64_t n = student.size(0) - 1;
  const auto count = static_cast<double>(n);
  const int64_t most = model.logit_rows(n);
  const at::Tensor is_answer = answer_marks(weights.answer_tokens, ids.size(0), ids.device());
  const auto answer_count = static_cast<double>(std::max<size_t>(1, weights.answer_tokens.size()));
  std::vector<at::Tensor> kl, student_nll, teacher_nll, answer_nll, teacher_answer, gradients;
  for (int64_t begin = 0; begin < n; begin += most) {
    const int64_t rows = std::min(most, n - begin);
    const at::Tensor next = ids.narrow(0, begin + 1, rows).unsqueeze(1);
    const at::Tensor wanted = model.logits(teacher.narrow(0, begin, rows)).log_softmax(1);
    const at::Tensor wanted_share = wanted.exp();
    const at::AutoGradMode mode(with_gradient);
    const at::Tensor states = student.narrow(0, begin, rows).detach().requires_grad_(with_gradient);
    const at::Tensor ours =
        (with_gradient ? model.differentiable_logits(states) : model.logits(states)).log_softmax(1);
    const at::Tensor cross = (wanted_share * ours).sum(), by_token = -ours.gather(1, next);
    const at::Tensor mark = is_answer.narrow(0, begin + 1, rows);
    const at::Tensor nll = by_token.sum(), of_answer = (by_token * mark).sum();
    kl.push_back(((wanted_share * wanted).sum() - cross).detach());
    student_nll.push_back(nll.detach());
    const at::Tensor teacher_by_token = -wanted.gather(1, next);
    teacher_nll.push_back(teacher_by_token.sum());
    answer_nll.push_back(of_answer.detach());
    teacher_answer.push_back((teacher_by_token * mark).sum());
    if (!with_gradient) continue;
    at::Tensor loss = cross * (-weights.kl / count);
    if (weights.ce != 0) loss = loss + nll * (weights.ce / count);
    if (weights.answer != 0) loss = loss + of_answer * (weights.answer / answer_count);
    loss.backward();
    gradients.push_back(states.grad());
  }
  const auto mean = [](const std::vector<at::Tensor>& parts, double of) {
    return at::stack(parts).sum() / of;
  };
  TaskTerms terms{.kl = mean(kl, count),
                  .student_nll = mean(student_nll, count),
                  .teacher_nll = mean(teacher_nll, count),
                  .answer_nll = mean(answer_nll, answer_count),
                  .teacher_answer_nll = mean(teacher_answer, answer_count)};
  if (with_gradient)
    terms.gradient =
        at::cat({at::cat(gradients), at::zeros_like(gradients.back().narrow(0, 0, 1))});
  return terms;
}

}  // namespace dsrasq::train
