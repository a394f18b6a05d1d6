#include "dsrasq/train/task_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

namespace dsrasq::train {

TaskTerms task_terms(const model::Transformer& model, const at::Tensor& student,
                     const at::Tensor& teacher, const at::Tensor& ids, const TaskWeights& weights,
                     bool with_gradient) {
  // The last position predicts a token that the stretch does not have.
  const int64_t n = student.size(0) - 1;
  const auto count = static_cast<double>(n);
  const int64_t most = model.logit_rows(n);
  std::vector<at::Tensor> kl, student_nll, teacher_nll, gradients;
  for (int64_t begin = 0; begin < n; begin += most) {
    const int64_t rows = std::min(most, n - begin);
    const at::Tensor next = ids.narrow(0, begin + 1, rows).unsqueeze(1);
    const at::Tensor wanted = model.logits(teacher.narrow(0, begin, rows)).log_softmax(1);
    const at::Tensor wanted_share = wanted.exp();
    const at::AutoGradMode mode(with_gradient);
    const at::Tensor states = student.narrow(0, begin, rows).detach().requires_grad_(with_gradient);
    const at::Tensor ours =
        (with_gradient ? model.differentiable_logits(states) : model.logits(states)).log_softmax(1);
    const at::Tensor cross = (wanted_share * ours).sum(), nll = -ours.gather(1, next).sum();
    kl.push_back(((wanted_share * wanted).sum() - cross).detach());
    student_nll.push_back(nll.detach());
    teacher_nll.push_back(-wanted.gather(1, next).sum());
    if (!with_gradient) continue;
    at::Tensor loss = cross * (-weights.kl / count);
    if (weights.ce != 0) loss = loss + nll * (weights.ce / count);
    loss.backward();
    gradients.push_back(states.grad());
  }
  const auto mean = [&](const std::vector<at::Tensor>& parts) {
    return at::stack(parts).sum() / count;
  };
  TaskTerms terms{
      .kl = mean(kl), .student_nll = mean(student_nll), .teacher_nll = mean(teacher_nll)};
  if (with_gradient)
    terms.gradient =
        at::cat({at::cat(gradients), at::zeros_like(gradients.back().narrow(0, 0, 1))});
  return terms;
}

}  // namespace dsrasq::train
