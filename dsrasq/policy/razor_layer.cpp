#include "dsrasq/policy/razor_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <numeric>

#include "dsrasq/ops/rows.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kCompression = 5;  // C of the paper

// The query heads [n_rep * n, T, D] of some KV heads.
at::Tensor queries_of(const at::Tensor& q, const at::Tensor& kv_heads, int64_t n_kv_heads) {
  return q.reshape({n_kv_heads, q.size(0) / n_kv_heads, q.size(1), q.size(2)})
      .index_select(0, kv_heads)
      .flatten(0, 1);
}

at::Tensor heads_where(const std::vector<bool>& of_head, bool value, at::Device device) {
  std::vector<int64_t> heads;
  for (size_t g = 0; g < of_head.size(); ++g)
    if (of_head[g] == value) heads.push_back(static_cast<int64_t>(g));
  return at::tensor(heads, at::kLong).to(device);
}

// Sums of the first 0, 1, ... rows of [n, R, D], and what was summed before: [n, R + 1, D] fp32.
at::Tensor running_sums(const at::Tensor& before, const at::Tensor& rows) {
  return at::cat({before, rows.to(at::kFloat)}, 1).cumsum(1);
}

}  // namespace

RazorLayer::RazorLayer(const HeadShape& shape, const std::vector<bool>& is_retrieval,
                       const Size& size)
    : shape_(shape),
      size_(size),
      retrieval_(heads_where(is_retrieval, true, shape.rows.device())),
      local_(heads_where(is_retrieval, false, shape.rows.device())),
      keys_(retrieval_.size(0), shape.head_dim, kGrowthStep, shape.rows),
      values_(retrieval_.size(0), shape.head_dim, kGrowthStep, shape.rows),
      first_recent_(size.n_sinks) {
  sink_keys_ = at::empty({local_.size(0), 0, shape.head_dim}, shape.rows);
  sink_values_ = recent_keys_ = recent_values_ = sink_keys_;
  dropped_keys_ = at::zeros({local_.size(0), 1, shape.head_dim}, shape.rows.dtype(at::kFloat));
  dropped_values_ = at::zeros_like(dropped_keys_);
}

int64_t RazorLayer::first_read(int64_t query) const {
  return std::max(size_.n_sinks, query - std::max(size_.n_recent, query / kCompression));
}

at::Tensor RazorLayer::first_read(const at::Tensor& query) const {
  const at::Tensor n_recent = at::floor_divide(query, kCompression).clamp_min(size_.n_recent);
  return (query - n_recent).clamp_min(size_.n_sinks);
}

at::Tensor RazorLayer::attend(const LayerTokens& tokens) {
  const int64_t n_kv = shape_.n_kv_heads, n = tokens.q.size(1);
  at::Tensor out = at::empty({n_kv, shape_.n_heads / n_kv, n, shape_.head_dim}, shape_.rows);
  const auto put = [&](const at::Tensor& kv_heads, const at::Tensor& part) {
    out.index_copy_(0, kv_heads, part.view({kv_heads.size(0), -1, n, shape_.head_dim}));
  };
  if (retrieval_.size(0) > 0) {
    keys_.append(tokens.k.index_select(0, retrieval_));
    values_.append(tokens.v.index_select(0, retrieval_));
    const at::Tensor logits =
        grouped_logits(queries_of(tokens.q, retrieval_, n_kv), keys_.rows(), shape_);
    const at::Tensor visible = causal(n, keys_.size(), shape_.rows.device());
    put(retrieval_, grouped_values(visible_softmax(logits, visible), values_.rows()));
  }
  position_ = tokens.first + n;
  if (local_.size(0) > 0) put(local_, attend_local(tokens));
  return out.flatten(0, 1);
}

// Of the heads that are no retrieval heads: [n_rep * n_local, T, D].
at::Tensor RazorLayer::attend_local(const LayerTokens& tokens) {
  const int64_t n = tokens.q.size(1);
  const int64_t n_new_sinks = std::clamp<int64_t>(size_.n_sinks - tokens.first, 0, n);
  const auto add = [&](const at::Tensor& fresh, at::Tensor& sinks, at::Tensor& recent) {
    const at::Tensor rows = fresh.index_select(0, local_).to(recent.scalar_type());
    sinks = at::cat({sinks, rows.narrow(1, 0, n_new_sinks)}, 1);
    recent = at::cat({recent, rows.narrow(1, n_new_sinks, n - n_new_sinks)}, 1);
  };
  add(tokens.k, sink_keys_, recent_keys_);
  add(tokens.v, sink_values_, recent_values_);

  const auto device = shape_.rows.device();
  const at::Tensor query = positions_from(tokens.first, n, device).unsqueeze(1);
  const at::Tensor sink = positions_from(0, sink_keys_.size(1), device).unsqueeze(0);
  const at::Tensor recent =
      positions_from(first_recent_, recent_keys_.size(1), device).unsqueeze(0);
  const at::Tensor first = first_read(query);  // [T, 1]
  const at::Tensor visible =
      at::cat({sink <= query, at::logical_and(recent <= query, recent >= first),
               at::ones({n, 1}, query.options().dtype(at::kBool))},
              1);

  // The mean of what each query's heads have dropped: [n_local, T, D]. Without any, its logit is
  // the log of 0.
  const at::Tensor n_dropped = (first - size_.n_sinks).to(at::kFloat);  // [T, 1]
  const at::Tensor row = (first - first_recent_).squeeze(1);
  const auto mean = [&](const at::Tensor& before, const at::Tensor& rows) {
    return running_sums(before, rows).index_select(1, row) / n_dropped.clamp_min(1);
  };
  const at::Tensor mean_key = mean(dropped_keys_, recent_keys_);
  const at::Tensor mean_value = mean(dropped_values_, recent_values_);

  const at::Tensor q = queries_of(tokens.q, local_, shape_.n_kv_heads);
  const at::Tensor q_by_group = q.to(at::kFloat).view({local_.size(0), -1, n, shape_.head_dim});
  const at::Tensor product =
      (q_by_group * mean_key.unsqueeze(1)).sum(-1).flatten(0, 1).unsqueeze(-1);
  const at::Tensor of_dropped =
      ops::softcap(product * shape_.scale, shape_.softcap) + at::log(n_dropped);
  const at::Tensor logits =
      at::cat({grouped_logits(q, at::cat({sink_keys_, recent_keys_}, 1), shape_), of_dropped}, -1);
  const at::Tensor weights = visible_softmax(logits, visible);
  const int64_t n_exact = weights.size(2) - 1;
  const at::Tensor exact =
      grouped_values(weights.narrow(2, 0, n_exact), at::cat({sink_values_, recent_values_}, 1));
  const at::Tensor share = weights.narrow(2, n_exact, 1).reshape({local_.size(0), -1, n, 1});
  const at::Tensor out = exact + (share * mean_value.unsqueeze(1)).flatten(0, 1);
  drop_before(first_read(position_));
  return out.to(shape_.rows.dtype());
}

// What no later query reads moves to the sums.
void RazorLayer::drop_before(int64_t position) {
  const int64_t n = position - first_recent_;
  if (n == 0) return;
  const auto drop = [n](at::Tensor& rows, at::Tensor& sum) {
    sum = sum + rows.narrow(1, 0, n).sum({1}, true, at::kFloat);
    rows = rows.narrow(1, n, rows.size(1) - n).clone();
  };
  drop(recent_keys_, dropped_keys_);
  drop(recent_values_, dropped_values_);
  first_recent_ = position;
}

size_t RazorLayer::planned_bytes_retrieval(const HeadShape& shape) {
  return kPlannedGrowth * shape.token_bytes() / static_cast<size_t>(shape.n_kv_heads);
}

size_t RazorLayer::planned_bytes_local(const HeadShape& shape) {
  return planned_bytes_retrieval(shape) / kCompression;
}

size_t RazorLayer::bytes() const {
  size_t bytes = keys_.bytes() + values_.bytes();
  for (const at::Tensor* rows : {&sink_keys_, &sink_values_, &recent_keys_, &recent_values_,
                                 &dropped_keys_, &dropped_values_})
    bytes += rows->nbytes();
  return bytes;
}

std::vector<std::vector<int64_t>> RazorLayer::held() const {
  std::vector<int64_t> all(static_cast<size_t>(position_));
  std::iota(all.begin(), all.end(), 0);
  std::vector<int64_t> near;
  std::copy_if(all.begin(), all.end(), std::back_inserter(near), [this](int64_t position) {
    return position < size_.n_sinks || position >= first_recent_;
  });
  std::vector<std::vector<int64_t>> held(static_cast<size_t>(shape_.n_kv_heads), near);
  const at::Tensor retrieval = retrieval_.cpu();
  for (int64_t i = 0; i < retrieval.size(0); ++i)
    held[static_cast<size_t>(retrieval.const_data_ptr<int64_t>()[i])] = all;
  return held;
}

}  // namespace dsrasq::policy
