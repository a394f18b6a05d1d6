#include "dsrasq/train/recall_share.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

namespace dsrasq::train {
namespace {

// The focus positions of a stretch with far tokens, and where the detail of each stands.
struct Queries {
  std::vector<int64_t> rows, begin, end;
};

Queries queries_of(const RecallStretch& stretch, const TeacherOptions& options, int64_t max_rows) {
  Queries queries;
  for (size_t i = 0; i < stretch.focus.size(); ++i) {
    const int64_t row = stretch.focus[i];
    const TokenRange source = stretch.sources[i];
    if (source.begin < options.sinks || row - options.window < source.end) continue;
    if (static_cast<int64_t>(queries.rows.size()) == max_rows) break;
    queries.rows.push_back(row);
    queries.begin.push_back(source.begin);
    queries.end.push_back(source.end);
  }
  return queries;
}

// The share of each row's far mass in columns [begin, end) `[R]`.
at::Tensor share_within(const AttentionTarget& target, const at::Tensor& begin,
                        const at::Tensor& end) {
  const at::Tensor columns =
      at::arange(target.first, target.first + target.mass.size(1), begin.options());
  const at::Tensor inside =
      (columns >= begin.unsqueeze(1)).logical_and_(columns < end.unsqueeze(1));
  return (target.mass * inside).sum(1) / target.mass.sum(1).clamp_min(1e-30);
}

}  // namespace

std::map<int64_t, float> recall_shares(const model::Transformer& model,
                                       std::span<const RecallStretch> stretches,
                                       const TeacherOptions& options, int64_t max_rows) {
  AngleCache angles(model.device());
  std::map<int64_t, at::Tensor> sums;  // on the device: nobody waits for it between layers
  int64_t n_queries = 0;
  for (const RecallStretch& stretch : stretches) {
    const Queries queries = queries_of(stretch, options, max_rows);
    if (queries.rows.empty()) continue;
    const auto on_device = [&](const std::vector<int64_t>& values) {
      return at::tensor(values, at::kLong).to(model.device());
    };
    const at::Tensor begin = on_device(queries.begin), end = on_device(queries.end);
    // Another query's detail: half of all queries away.
    const int64_t away = begin.size(0) / 2;
    const at::Tensor other_begin = begin.roll(away), other_end = end.roll(away);
    TeacherPolicy policy(model.shape(), options, {on_device(queries.rows), queries.rows.back()},
                         angles,
                         [&](int64_t layer, const at::Tensor&, const AttentionTarget& target) {
                           const at::Tensor excess = share_within(target, begin, end) -
                                                     share_within(target, other_begin, other_end);
                           at::Tensor& sum = sums[layer];
                           sum = sum.defined() ? sum + excess.sum() : excess.sum();
                         });
    model.forward(at::tensor(stretch.ids, at::kInt).to(at::kLong), policy);
    n_queries += begin.size(0);
  }
  std::map<int64_t, float> shares;
  for (const auto& [layer, sum] : sums)
    shares[layer] = std::max(0.0F, sum.item<float>() / static_cast<float>(n_queries));
  return shares;
}

}  // namespace dsrasq::train
