#include "dsrasq/train/size_cost.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "dsrasq/train/selection_policy.h"

namespace dsrasq::train {
namespace {

// Sums over the first n of the best [H, R, M], for n = 0 ... M.
at::Tensor running_sums(const at::Tensor& of_best) {
  return at::cat({at::zeros_like(of_best.narrow(2, 0, 1)), of_best.cumsum(2)}, 2);
}

// g [R, H, D] times each row's own tokens [R, Hkv, M, D]: [H, R, M].
at::Tensor row_products(const at::Tensor& g, const at::Tensor& own) {
  const int64_t n_rows = g.size(0), n_heads = g.size(1), n_kv = own.size(1);
  return g.view({n_rows, n_kv, n_heads / n_kv, g.size(2)})
      .matmul(own.transpose(2, 3))
      .view({n_rows, n_heads, own.size(2)})
      .transpose(0, 1);
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

// With s_j = g . v_j, what g says of reading a set is sum w_j s_j / sum w_j. Only the best tokens
// are summed one by one; of the others g meets the weighted mean of their values.
at::Tensor size_costs(const DenseAttention& a, const std::vector<at::Tensor>& gradients,
                      const RankedRows& ranked) {
  const SampledRows& rows = ranked.rows;
  const int64_t n_rows = rows.positions.size(0), n_best = ranked.best.size(1);
  const at::Tensor logits = row_logits(a, rows);
  const auto dtype = logits.scalar_type();
  const at::Tensor weights = (logits - logits.amax({2}, true)).exp_();  // [H, R, N]
  const at::Tensor position = rows.positions.unsqueeze(1);
  const at::Tensor column = at::arange(rows.last + 1, rows.positions.options()).unsqueeze(0);
  const at::Tensor is_far =
      (column <= position - ranked.window).logical_and_(column >= ranked.sinks);
  const at::Tensor local = weights.masked_fill(is_far, 0);
  const at::Tensor best = weights.gather(2, ranked.best.unsqueeze(0).expand({a.q.size(1), -1, -1}))
                              .masked_fill_(ranked.seen.logical_not(), 0);  // [H, R, M]
  const at::Tensor v = a.v.narrow(0, 0, rows.last + 1).to(dtype);
  const at::Tensor v_full = weighted_values(weights, v) / weights.sum(2).t().unsqueeze(2);
  const at::Tensor v_local = weighted_values(local, v);  // [R, H, D], of a sum
  const at::Tensor v_best = v.index_select(0, ranked.best.flatten())
                                .view({n_rows, n_best, v.size(1), v.size(2)})
                                .transpose(1, 2);
  const at::Tensor mass = local.sum(2, true) + running_sums(best);
  std::vector<at::Tensor> costs;
  for (const at::Tensor& gradient : gradients) {
    const at::Tensor g = gradient.index_select(0, rows.positions).to(dtype);
    const at::Tensor of_local = (g * v_local).sum(2).t().unsqueeze(2);  // [H, R, 1]
    const at::Tensor read = (of_local + running_sums(row_products(g, v_best) * best)) / mass;
    const at::Tensor full = (g * v_full).sum({1, 2}).unsqueeze(1);  // [R, 1]
    costs.push_back((read.sum(0) - full).square_().mul_(0.5));
  }
  return at::stack(costs);
}

}  // namespace dsrasq::train
