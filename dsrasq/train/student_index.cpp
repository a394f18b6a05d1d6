#include "dsrasq/train/student_index.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "dsrasq/train/device_selection.h"
#include "dsrasq/train/index_scores.h"
#include "dsrasq/train/indexer_loss.h"

namespace dsrasq::train {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kUnseen = -1e30;  // finite, so that 0 * it stays 0
constexpr const char* kRows = "rows";

// Rounded going forward, untouched going back.
at::Tensor rounded(const at::Tensor& x, double code_max) {
  return x + (fake_quantised(x.detach(), code_max) - x.detach());
}

// The columns above the last score that is in, and of those equal to it as many as there is room
// for: [R, N] bool.
at::Tensor down_to(const PoolScores& pool, const at::Tensor& last, const at::Tensor& sizes) {
  const at::Tensor above = pool.scores > last, equal = pool.scores == last;
  const at::Tensor room = sizes - above.sum({1}, true);
  return above.logical_or(equal.logical_and_(equal.cumsum(1, at::kInt) <= room))
      .logical_and_(pool.unseen.logical_not());
}

// The columns that are set, in ascending order, and N from where a row has no more: [R, most] Int.
at::Tensor columns_of(const at::Tensor& picked, int64_t most) {
  const at::Tensor counts = picked.cumsum(1, at::kInt);
  const at::Tensor wanted =
      at::arange(1, most + 1, counts.options()).expand({picked.size(0), most}).contiguous();
  return at::searchsorted(counts, wanted, true);
}

// As indices of columns: a pick that is none becomes the last one, whatever for.
at::Tensor inside(const at::Tensor& columns, const PoolRows& rows) {
  return columns.clamp_max(rows.n_columns() - 1).to(at::kLong);
}

// The index of consecutive rows.
struct RowIndex {
  at::Tensor query, key, weight, local, threshold;  // of R rows and N columns

  variable_list list() const { return {query, key, weight, local, threshold}; }
  static RowIndex of(const variable_list& t) { return {t[0], t[1], t[2], t[3], t[4]}; }
};

PoolScores scores_of(const RowIndex& index, const PoolRows& rows) {
  const auto ints = index.key.options().dtype(at::kInt).requires_grad(false);
  const at::Tensor positions = at::arange(rows.begin, rows.end, ints).unsqueeze(1);
  const at::Tensor columns = at::arange(rows.sinks, rows.sinks + rows.n_columns(), ints);
  PoolScores pool{.begin = rows.begin,
                  .local = index.local,
                  .threshold = index.threshold,
                  .unseen = columns.unsqueeze(0) > positions - rows.window};
  if (rows.pool > 0)
    pool.unseen.logical_or_(columns.unsqueeze(0) <= positions - (rows.window + rows.pool));
  pool.scores =
      index_scores(index.query, index.key, index.weight).masked_fill_(pool.unseen, kUnseen);
  return pool;
}

// What rows picked, without gradients.
struct Picked {
  at::Tensor columns, scores;  // [R, K]; any score where there is no pick
  at::Tensor mass;             // log(exp nu + sum exp z) [R, 1]
  at::Tensor count, expected;  // scalars; the latter undefined where it is not wanted
};

// u of what was picked, and E|S|. Everything in closed form, so that the pool's scores are made
// again once and become their own gradient.
class PickedRatio : public torch::autograd::Function<PickedRatio> {
 public:
  static variable_list forward(AutogradContext* context, const Picked& picked, const PoolRows& rows,
                               at::TensorList index) {
    const variable_list all = index.vec();
    variable_list out{picked.scores - picked.mass - RowIndex::of(all).threshold};
    if (picked.expected.defined()) out.push_back(picked.expected);
    context->set_materialize_grads(false);
    variable_list saved = all;
    saved.insert(saved.end(), {picked.mass, picked.columns});
    context->save_for_backward(saved);
    context->saved_data[kRows] = std::vector<int64_t>{rows.begin,  rows.end,  rows.sinks,
                                                      rows.window, rows.pool, rows.first_live};
    return out;
  }

  // With u = z - log(exp nu + sum exp z) - tau: every du counts once for its z and tau, and in
  // proportion to exp z or exp nu for all that share the normaliser.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const RowIndex index = RowIndex::of(saved);
    const at::Tensor& mass = saved[5];
    const bool has_expected = gradients.size() > 1 && gradients[1].defined();
    at::Tensor total = at::zeros_like(mass), d_all;  // sum of du [R, 1]; that of E|S| [R, N]
    if (gradients[0].defined()) total = gradients[0].sum({1}, true);
    variable_list result(7);
    const bool reaches_scores = context->needs_input_grad(0) || context->needs_input_grad(1) ||
                                context->needs_input_grad(2);
    if (reaches_scores || has_expected) {
      const auto r = context->saved_data[kRows].toIntVector();
      const PoolRows rows{r[0], r[1], r[2], r[3], r[4], r[5]};
      at::Tensor z = scores_of(index, rows).scores.sub_(mass);
      if (has_expected) {
        const at::Tensor p = (z - index.threshold).sigmoid_();
        d_all = (p * (1 - p)).mul_(gradients[1]);
        total = total + d_all.sum({1}, true);
      }
      z.exp_().mul_(-total);
      if (has_expected) z.add_(d_all);
      if (gradients[0].defined()) z.scatter_add_(1, inside(saved[6], rows), gradients[0]);
      if (reaches_scores) {
        const auto found = index_score_gradients(index.query, index.key, index.weight, z);
        const int64_t n_dead = rows.first_live - rows.sinks;
        if (n_dead > 0) found.key.narrow(0, 0, std::min(n_dead, rows.n_columns())).zero_();
        result[2] = found.query, result[3] = found.key, result[4] = found.weight;
      }
    }
    result[5] = -total * (index.local - mass).exp();
    result[6] = -total.sum().view({1});
    return result;
  }
};

// From a matrix of all scores.
Picked pick_plainly(const RowIndex& index, const PoolRows& rows, const StudentRules& rules) {
  const PoolScores pool = scores_of(index, rows);
  const at::Tensor mask =
      rules.pick ? rules.pick(pool) : greedy_pick(pool, rules.top_k, rules.thresholded);
  const int64_t most = rules.pick ? mask.sum(1).max().item<int64_t>() : rules.top_k;
  Picked picked{.columns = columns_of(mask, std::min(most, rows.n_columns())),
                .scores = {},
                .mass = log_mass(pool),
                .count = mask.sum(),
                .expected = {}};
  picked.scores = pool.scores.gather(1, inside(picked.columns, rows));
  if (rules.counts_expected)
    picked.expected = (pool.scores - (picked.mass + pool.threshold)).sigmoid_().sum();
  return picked;
}

Picked pick(const StudentIndex& all, const RowIndex& index, const PoolRows& rows,
            const StudentRules& rules) {
  const bool is_plain = rules.pick || rules.thresholded || rules.counts_expected;
  const auto best = is_plain ? std::nullopt : best_on_device(all, rows, rules.top_k);
  if (!best) return pick_plainly(index, rows, rules);
  return {.columns = best->columns,
          .scores = best->scores,
          .mass = at::logaddexp(best->log_mass, index.local),
          .count = best->count.sum(),
          .expected = {}};
}

}  // namespace

PoolScores pool_scores(const StudentIndex& index, const at::Tensor& positions, int64_t end,
                       int64_t sinks, int64_t window) {
  const int64_t n_pool = end - window - sinks;
  PoolScores pool{.local = index.local.index_select(0, positions), .threshold = index.threshold};
  pool.unseen = at::arange(sinks, sinks + n_pool, positions.options()).unsqueeze(0) >
                positions.unsqueeze(1) - window;
  pool.scores =
      index_scores(index.query.index_select(1, positions), index.key.narrow(0, sinks, n_pool),
                   index.weight.index_select(0, positions))
          .masked_fill(pool.unseen, kUnseen);
  return pool;
}

at::Tensor log_mass(const PoolScores& pool) {
  return at::logaddexp(pool.scores.logsumexp({1}, true), pool.local);
}

at::Tensor log_ratio(const PoolScores& pool) {
  return pool.scores - log_mass(pool) - pool.threshold;
}

at::Tensor greedy_pick(const PoolScores& pool, int64_t top_k, bool thresholded) {
  at::Tensor picked;
  if (top_k >= pool.scores.size(1)) {
    picked = pool.unseen.logical_not();
  } else {
    const at::Tensor last = std::get<0>(pool.scores.topk(top_k, 1, true, false)).amin({1}, true);
    picked = down_to(pool, last, at::full({1}, top_k, last.options().dtype(at::kLong)));
  }
  if (thresholded) picked.logical_and_(log_ratio(pool) > 0);
  return picked;
}

at::Tensor best_of_sizes(const PoolScores& pool, const at::Tensor& best, const at::Tensor& sizes) {
  const at::Tensor wanted = sizes.unsqueeze(1);
  return down_to(pool, best.gather(1, (wanted - 1).clamp(0, best.size(1) - 1)), wanted);
}

StudentIndex StudentIndex::of(const retriever::IndexerParameters& p, const at::Tensor& threshold,
                              const at::Tensor& x, int64_t n_heads, bool fake_quantise) {
  const at::Tensor x32 = x.to(p.key.scalar_type());
  const int64_t n_tokens = x.size(0), width = p.key.size(0);
  StudentIndex index{.query = at::linear(x32, p.query).view({n_tokens, n_heads, width}),
                     .key = at::layer_norm(at::linear(x32, p.key), {width}, p.norm_weight,
                                           p.norm_bias, kKeyNormEps),
                     .weight = at::linear(x32, p.head_weight, p.head_bias),
                     .local = at::linear(x32, p.local, p.local_bias),
                     .threshold = threshold,
                     .is_rounded = fake_quantise};
  if (fake_quantise) {
    index.query = rounded(index.query, kQueryCodeMax);
    index.key = rounded(index.key, kKeyCodeMax);
  }
  index.query = index.query.transpose(0, 1);
  return index;
}

Selection select_tokens(const StudentIndex& all, const PoolRows& rows, const StudentRules& rules) {
  const int64_t n_rows = rows.end - rows.begin;
  const auto own = [&](const at::Tensor& t) { return t.narrow(0, rows.begin, n_rows); };
  const RowIndex index{.query = all.query.narrow(1, rows.begin, n_rows),
                       .key = all.key.narrow(0, rows.sinks, rows.n_columns()),
                       .weight = own(all.weight),
                       .local = own(all.local),
                       .threshold = all.threshold};
  Picked picked;
  {
    const at::NoGradGuard no_grad;
    picked = pick(all, index, rows, rules);
  }
  Selection selection{.columns = picked.columns, .count = picked.count};
  const variable_list inputs = index.list();
  const bool learns = at::GradMode::is_enabled() &&
                      std::any_of(inputs.begin(), inputs.end(),
                                  [](const at::Tensor& t) { return t.requires_grad(); });
  if (!learns && !rules.counts_expected) return selection;
  const variable_list out = PickedRatio::apply(picked, rows, at::TensorList(inputs));
  if (learns) selection.log_ratio = out[0];
  if (rules.counts_expected) selection.expected = out[1];
  return selection;
}

}  // namespace dsrasq::train
