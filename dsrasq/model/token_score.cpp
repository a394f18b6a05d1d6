#include "dsrasq/model/token_score.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace dsrasq::model {

TokenScores token_scores(const Transformer& model, const at::Tensor& student,
                         const at::Tensor& teacher, const at::Tensor& ids) {
  const at::NoGradGuard no_grad;
  const int64_t n = student.size(0);
  const int64_t most = model.logit_rows(n);
  std::vector<at::Tensor> kl, log_probability;
  for (int64_t begin = 0; begin < n; begin += most) {
    const int64_t rows = std::min(most, n - begin), with_next = std::min(rows, n - 1 - begin);
    const at::Tensor ours = model.logits(student.narrow(0, begin, rows)).log_softmax(1);
    const at::Tensor next = ids.narrow(0, begin + 1, with_next).unsqueeze(1);
    log_probability.push_back(ours.narrow(0, 0, with_next).gather(1, next).squeeze(1));
    if (!teacher.defined()) continue;
    const at::Tensor wanted = model.logits(teacher.narrow(0, begin, rows)).log_softmax(1);
    kl.push_back((wanted.exp() * (wanted - ours)).sum(1));
  }
  log_probability.push_back(at::zeros({1}, log_probability.back().options()));
  return {kl.empty() ? at::Tensor() : at::cat(kl), at::cat(log_probability)};
}

}  // namespace dsrasq::model
