#include "dsrasq/train/lm_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "dsrasq/train/index_scores.h"
#include "dsrasq/train/student_index.h"

namespace dsrasq::train {
namespace {

// Values of a matrix of scores for all stretches.
constexpr int64_t kLmChunkElements = 1 << 26, kLmChunkElementsCpu = 1 << 20;
constexpr int64_t kLeastRows = 64;  // and a multiple of them: masks of even widths need no padding
constexpr double kLmUnseen = -1e30;

// What is read whatever the indexer says: [R, end].
at::Tensor locally_seen(int64_t begin, int64_t end, const LmAttention& o, at::Device device) {
  const auto ints = at::TensorOptions(device).dtype(at::kInt);
  const at::Tensor rows = at::arange(begin, end, ints).unsqueeze(1),
                   columns = at::arange(end, ints);
  return (columns > rows - o.window).logical_or_(columns < o.sinks).logical_and_(columns <= rows);
}

int64_t rows_at_once(int64_t n_tokens, at::Device device) {
  const int64_t budget = device.is_cpu() ? kLmChunkElementsCpu : kLmChunkElements;
  return std::max(budget / n_tokens / kLeastRows, int64_t{1}) * kLeastRows;
}

}  // namespace

LmIndex::LmIndex(const retriever::IndexerParameters& indexer, const at::Tensor& x,
                 const LmAttention& options)
    : options_(options) {
  const at::NoGradGuard no_grad;
  const StudentIndex index =
      StudentIndex::of(indexer, {}, x, options.n_heads, options.fake_quantise);
  const int64_t n = x.size(0) / options.length, t = options.length;
  query_ = index.query.reshape({options.n_heads, n, t, index.query.size(2)});
  key_ = index.key.view({n, t, index.key.size(1)});
  weight_ = index.weight.view({n, t, options.n_heads});
}

at::Tensor LmIndex::seen(int64_t begin, int64_t end) const {
  const at::NoGradGuard no_grad;
  const int64_t n = key_.size(0), n_rows = end - begin;
  const int64_t n_pool = end - options_.window - options_.sinks;
  at::Tensor seen =
      locally_seen(begin, end, options_, key_.device()).unsqueeze(0).repeat({n, 1, 1});
  if (n_pool <= 0 || options_.top_k == 0) return seen;
  const auto ints = at::TensorOptions(key_.device()).dtype(at::kInt);
  const at::Tensor rows = at::arange(begin, end, ints).unsqueeze(1);
  const at::Tensor columns = at::arange(options_.sinks, options_.sinks + n_pool, ints);
  const at::Tensor unseen = columns > rows - options_.window;
  const at::Tensor scores =
      index_scores(query_.narrow(2, begin, n_rows), key_.narrow(1, options_.sinks, n_pool),
                   weight_.narrow(1, begin, n_rows));
  const PoolScores pool{.scores = scores.masked_fill_(unseen, kLmUnseen).flatten(0, 1),
                        .unseen = unseen.repeat({n, 1})};
  seen.narrow(2, options_.sinks, n_pool)
      .logical_or_(greedy_pick(pool, options_.top_k, false).view({n, n_rows, n_pool}));
  return seen;
}

DenseAttention LmPolicy::turned(const policy::LayerInput& input) {
  const auto& layer = shape_.layers[static_cast<size_t>(input.layer)];
  auto found = turns_.find(layer.rope.inv_freq());
  if (found == turns_.end()) {
    const ops::Rope::Angles& once = angles_.get(layer.rope, 0, options_.length, 1);
    const int64_t n = n_tokens() / options_.length;
    found = turns_
                .emplace(layer.rope.inv_freq(),
                         ops::Rope::Angles{once.cos.repeat({n, 1}), once.sin.repeat({n, 1})})
                .first;
  }
  return {.q = ops::rotate(input.q, found->second),
          .k = ops::rotate(input.k, found->second),
          .v = input.v,
          .q_far = {},
          .k_plain = {},
          .scale = layer.scale};
}

at::Tensor LmPolicy::attend(const policy::LayerInput& input) {
  const DenseAttention a = turned(input);
  const int64_t n_heads = a.q.size(1), length = options_.length;
  const auto heads = [&](const at::Tensor& x) {
    return heads_first(x.view({n_tokens() / length, length, x.size(1), x.size(2)}), n_heads);
  };
  const at::Tensor q = heads(a.q), k = heads(a.k), v = heads(a.v);
  at::Tensor out;
  if (indexers_ == nullptr) {
    out = at::scaled_dot_product_attention(q, k, v, std::nullopt, 0.0, true, a.scale);
  } else {
    if (visit_) {
      const at::NoGradGuard no_grad;
      visit_(input.layer, input.x, a);
    }
    const LmIndex index(indexers_->indexer(input.layer), input.x, options_);
    const int64_t most = rows_at_once(n_tokens(), input.x.device());
    std::vector<at::Tensor> parts;
    for (int64_t begin = 0, end = 0; begin < length; begin = end) {
      end = std::min(begin + most, length);
      parts.push_back(at::scaled_dot_product_attention(
          q.narrow(2, begin, end - begin), k.narrow(2, 0, end), v.narrow(2, 0, end),
          index.seen(begin, end).unsqueeze(1), 0.0, false, a.scale));
    }
    out = at::cat(parts, 2);
  }
  return out.transpose(1, 2).reshape({n_tokens(), n_heads, out.size(3)});
}

}  // namespace dsrasq::train
