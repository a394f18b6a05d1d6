#include "dsrasq/train/size_cost.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "dsrasq/train/selection_policy.h"

namespace dsrasq::train {
namespace {

// Sums over the first n of the best [H, R, M], for n = 0 ... M.
at::Tensor running_sums(const at::Tensor& of_tokens, const at::Tensor& columns,
                        const at::Tensor& seen) {
  const at::Tensor best = of_tokens.gather(2, columns.expand({of_tokens.size(0), -1, -1}))
                              .masked_fill_(seen.logical_not(), 0);
  return at::cat({at::zeros_like(best.narrow(2, 0, 1)), best.cumsum(2)}, 2);
}

}  // namespace

LabelGradient label_gradient(const model::Transformer& model, const at::Tensor& states,
                             const at::Tensor& ids, at::Generator& generator) {
  const int64_t n = states.size(0);
  const int64_t most = model.logit_rows(n);
  std::vector<at::Tensor> gradients, nll;
  for (int64_t begin = 0; begin < n; begin += most) {
    const int64_t rows = std::min(most, n - begin), with_next = std::min(rows, n - 1 - begin);
    const at::AutoGradMode with_gradients(true);
    const at::Tensor part = states.narrow(0, begin, rows).detach().requires_grad_(true);
    const at::Tensor log_p = model.differentiable_logits(part).log_softmax(1);
    const at::Tensor known = log_p.detach();
    const at::Tensor labels = (known + gumbel_noise(known, generator)).argmax(1, true);
    log_p.gather(1, labels).sum().backward();
    gradients.push_back(part.grad());
    const at::Tensor next = ids.narrow(0, begin + 1, with_next).unsqueeze(1);
    nll.push_back(-known.narrow(0, 0, with_next).gather(1, next).sum());
  }
  return {at::cat(gradients), at::stack(nll).sum() / static_cast<double>(n - 1)};
}

at::Tensor size_costs(const DenseAttention& a, const std::vector<at::Tensor>& gradients,
                      const RankedRows& ranked) {
  const SampledRows& rows = ranked.rows;
  const at::Tensor logits = row_logits(a, rows);
  const auto dtype = logits.scalar_type();
  const at::Tensor weights = (logits - logits.amax({2}, true)).exp_();  // [H, R, N]
  const at::Tensor position = rows.positions.unsqueeze(1);
  const at::Tensor column = at::arange(rows.last + 1, rows.positions.options()).unsqueeze(0);
  const at::Tensor is_local = (column < ranked.sinks).logical_or(column > position - ranked.window);
  const at::Tensor columns = ranked.best.unsqueeze(0);
  const auto local_sum = [&](const at::Tensor& of_tokens) {
    return (of_tokens * is_local).sum(2, true);
  };
  const at::Tensor mass = local_sum(weights) + running_sums(weights, columns, ranked.seen);
  const at::Tensor all_mass = weights.sum(2, true);
  const at::Tensor v = a.v.narrow(0, 0, rows.last + 1).to(dtype);
  std::vector<at::Tensor> costs;
  for (const at::Tensor& gradient : gradients) {
    const at::Tensor g = gradient.index_select(0, rows.positions).to(dtype);
    const at::Tensor gain = grouped_product(g, v).mul_(weights);  // of each token, unnormalised
    const at::Tensor read =
        ((local_sum(gain) + running_sums(gain, columns, ranked.seen)) / mass).sum(0);
    const at::Tensor full = (gain.sum(2, true) / all_mass).sum(0);  // [R, 1]
    costs.push_back((read - full).square_().mul_(0.5));
  }
  return at::stack(costs);
}

}  // namespace dsrasq::train
