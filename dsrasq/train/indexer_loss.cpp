#include "dsrasq/train/indexer_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <tuple>

#include "dsrasq/train/index_scores.h"

namespace dsrasq::train {
namespace {

constexpr double kUnseenLogit = -1e30;  // finite, so that 0 * z stays 0
constexpr double kTinyMass = 1e-9;

// What the forward pass leaves for the backward pass.
struct Forward {
  at::Tensor x_rows, x_columns;         // [R, E], [N, E]
  at::Tensor query;                     // [n_h, R, d_i]
  at::Tensor key_raw, key, mean, rstd;  // [N, d_i] before and after LayerNorm, and its statistics
  at::Tensor head_weight, local;        // [R, n_h], [R, 1]
  at::Tensor z;                         // [R, N]
};

Forward forward(const retriever::IndexerParameters& p, const at::Tensor& x,
                const AttentionTarget& target, const LossOptions& options) {
  Forward f;
  const int64_t n_rows = target.rows.size(0), n_columns = target.mass.size(1);
  const int64_t width = p.key.size(0);
  f.x_rows = x.index_select(0, target.rows).to(p.key.scalar_type());
  f.x_columns = x.narrow(0, target.first, n_columns).to(p.key.scalar_type());
  f.query = f.x_rows.matmul(p.query.t())
                .view({n_rows, options.n_heads, width})
                .transpose(0, 1)
                .contiguous();
  f.key_raw = f.x_columns.matmul(p.key.t());
  std::tie(f.key, f.mean, f.rstd) =
      at::native_layer_norm(f.key_raw, {width}, p.norm_weight, p.norm_bias, kKeyNormEps);
  if (options.fake_quantise) {
    f.query = fake_quantised(f.query, kQueryCodeMax);
    f.key = fake_quantised(f.key, kKeyCodeMax);
  }
  f.head_weight = at::addmm(p.head_bias, f.x_rows, p.head_weight.t());
  f.local = at::addmm(p.local_bias, f.x_rows, p.local.t());
  f.z = index_scores(f.query, f.key, f.head_weight);
  const at::Tensor positions =
      at::arange(target.first, target.first + n_columns, target.rows.options());
  f.z.masked_fill_(positions.unsqueeze(0) > (target.rows - target.window).unsqueeze(1),
                   kUnseenLogit);
  return f;
}

// The loss of every row, and what its gradient is made of: [R, 1] each but the mass [R, N].
struct Divergence {
  at::Tensor mass, far, local, log_far, log_all, loss;
};

Divergence divergence(const Forward& f, const at::Tensor& target_mass, double epsilon) {
  Divergence d;
  d.mass = target_mass.to(f.z.scalar_type());
  d.far = d.mass.sum(1, true).clamp_min_(kTinyMass);
  d.local = (1 - d.far).clamp_min_(0);
  d.log_far = f.z.logsumexp({1}, true);
  d.log_all = at::logaddexp(d.log_far, f.local);
  // KL = sum m log m - sum m z + log_all - local nu + local log local, the targets adding up to 1.
  const at::Tensor cross = at::xlogy(d.mass, d.mass).sum(1, true) - (d.mass * f.z).sum(1, true);
  d.loss =
      cross + d.far * d.log_all + at::xlogy(d.local, d.local) - d.local * (f.local - d.log_all);
  if (epsilon > 0) d.loss = d.loss + epsilon * (cross / d.far - d.far.log() + d.log_far);
  return d;
}

// From d loss / d z `[R, N]` and d loss / d nu `[R, 1]` to the parameters.
void backward(const retriever::IndexerParameters& p, const Forward& f, const at::Tensor& d_z,
              const at::Tensor& d_local, retriever::IndexerParameters& gradient) {
  const int64_t n_heads = f.query.size(0), n_rows = f.query.size(1), width = p.key.size(0);
  const auto [d_query, d_key, d_weight] = index_score_gradients(f.query, f.key, f.head_weight, d_z);
  gradient.head_weight.addmm_(d_weight.t(), f.x_rows);
  gradient.head_bias.add_(d_weight.sum(0));
  gradient.local.addmm_(d_local.t(), f.x_rows);
  gradient.local_bias.add_(d_local.sum(0));
  gradient.query.addmm_(d_query.transpose(0, 1).reshape({n_rows, n_heads * width}).t(), f.x_rows);
  const auto [d_raw, d_norm_weight, d_norm_bias] = at::native_layer_norm_backward(
      d_key, f.key_raw, {width}, f.mean, f.rstd, p.norm_weight, p.norm_bias, {true, true, true});
  gradient.norm_weight.add_(d_norm_weight);
  gradient.norm_bias.add_(d_norm_bias);
  gradient.key.addmm_(d_raw.t(), f.x_columns);
}

}  // namespace

at::Tensor fake_quantised(const at::Tensor& x, double code_max) {
  const at::Tensor scale = (x.abs().amax({-1}, true) / code_max).clamp_min_(1e-12);
  return (x / scale).round_().mul_(scale);
}

IndexerEstimate estimate_attention(const retriever::IndexerParameters& indexer, const at::Tensor& x,
                                   const AttentionTarget& target, const LossOptions& options) {
  const Forward f = forward(indexer, x, target, options);
  return {f.z, divergence(f, target.mass, options.conditional_weight).loss.mean()};
}

at::Tensor indexer_loss(const retriever::IndexerParameters& indexer, const at::Tensor& x,
                        const AttentionTarget& target, const LossOptions& options, double weight,
                        retriever::IndexerParameters& gradient) {
  const Forward f = forward(indexer, x, target, options);
  const Divergence d = divergence(f, target.mass, options.conditional_weight);
  const double epsilon = options.conditional_weight;
  const double factor = weight / static_cast<double>(f.z.size(0));

  // d z = p - m, and epsilon (p / p_far - m / m_far) of the conditional term, in one pass each.
  const at::Tensor total = d.far + d.local;
  const at::Tensor d_local = ((f.local - d.log_all).exp() * total - d.local) * factor;
  at::Tensor d_z = (f.z - d.log_all).exp_().mul_((d.log_all - d.log_far).exp() * epsilon + total);
  d_z.addcmul_(d.mass, 1 + epsilon / d.far, -1).mul_(factor);
  backward(indexer, f, d_z, d_local, gradient);
  return d.loss.mean();
}

at::Tensor captured_mass(const at::Tensor& scores, const at::Tensor& mass, int64_t k) {
  const int64_t n = std::min(k, scores.size(1));
  const at::Tensor chosen = std::get<1>(scores.topk(n, 1, true, false));
  return at::stack(
      {mass.gather(1, chosen).sum(), std::get<0>(mass.topk(n, 1, true, false)).sum(), mass.sum()});
}

}  // namespace dsrasq::train
