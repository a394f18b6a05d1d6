#include "dsrasq/policy/stepped_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>

namespace dsrasq::policy {
namespace {

at::Tensor accumulated_attention(const at::Tensor& scores, const at::Tensor& weights) {
  return scores + group_mean(weights.sum(1), scores.size(0));
}

at::Tensor latest_attention(const at::Tensor& scores, const at::Tensor& weights) {
  return weights.select(1, weights.size(1) - 1).mean(0, true).expand_as(scores);
}

}  // namespace

Evictor h2o_evictor(int64_t cache) {
  return {.n_recent = cache / 2, .score = accumulated_attention};
}

Evictor tova_evictor() { return {.n_recent = 0, .score = latest_attention}; }

SteppedLayer::SteppedLayer(const HeadShape& shape, int64_t cache, const Evictor& evictor)
    : shape_(shape), cache_(cache), evictor_(evictor) {
  const auto longs = shape.rows.dtype(at::kLong);
  keys_ = at::zeros({shape.n_kv_heads, cache + 1, shape.head_dim}, shape.rows);
  values_ = at::zeros_like(keys_);
  scores_ = at::zeros({shape.n_kv_heads, cache + 1}, shape.rows.dtype(at::kFloat));
  positions_ = at::full({shape.n_kv_heads, cache + 1}, -1, longs);
  free_ = at::full({shape.n_kv_heads, 1}, cache, longs);
}

at::Tensor SteppedLayer::attend(const LayerTokens& tokens) {
  const int64_t n = tokens.q.size(1), n_fill = std::min(n, cache_ - n_filled_);
  std::vector<at::Tensor> parts;
  if (n_fill > 0) parts.push_back(fill(tokens, n_fill));
  for (int64_t t = n_fill; t < n; ++t) parts.push_back(step(tokens, t));
  return at::cat(parts, 1);
}

// The first n tokens, for which there is room: slots in the order of positions.
at::Tensor SteppedLayer::fill(const LayerTokens& tokens, int64_t n) {
  keys_.narrow(1, n_filled_, n).copy_(tokens.k.narrow(1, 0, n));
  values_.narrow(1, n_filled_, n).copy_(tokens.v.narrow(1, 0, n));
  const auto device = shape_.rows.device();
  positions_.narrow(1, n_filled_, n).copy_(positions_from(tokens.first, n, device).unsqueeze(0));
  n_filled_ += n;
  const at::Tensor logits =
      grouped_logits(tokens.q.narrow(1, 0, n), keys_.narrow(1, 0, n_filled_), shape_);
  const at::Tensor weights = visible_softmax(logits, causal(n, n_filled_, device));
  at::Tensor scores = scores_.narrow(1, 0, n_filled_);
  scores.copy_(evictor_.score(scores, weights));
  return grouped_values(weights, values_.narrow(1, 0, n_filled_));
}

// Token t when the cache is full.
at::Tensor SteppedLayer::step(const LayerTokens& tokens, int64_t t) {
  const at::Tensor row = free_.unsqueeze(2).expand({-1, 1, shape_.head_dim});
  keys_.scatter_(1, row, tokens.k.narrow(1, t, 1).to(keys_.scalar_type()));
  values_.scatter_(1, row, tokens.v.narrow(1, t, 1).to(values_.scalar_type()));
  positions_.scatter_(1, free_, tokens.first + t);
  scores_.scatter_(1, free_, 0);
  const at::Tensor weights =
      at::softmax(grouped_logits(tokens.q.narrow(1, t, 1), keys_, shape_), -1);
  scores_.copy_(evictor_.score(scores_, weights));
  const at::Tensor out = grouped_values(weights, values_);
  free_ = evict(tokens.first + t);
  positions_.scatter_(1, free_, -1);
  return out;
}

// The slots [Hkv, 1] that the token at `position` makes free.
at::Tensor SteppedLayer::evict(int64_t position) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const at::Tensor stays = positions_ > position - evictor_.n_recent;
  return at::argmin(scores_.masked_fill(stays, kInfinity), 1, true);
}

size_t SteppedLayer::planned_bytes(const HeadShape& shape, int64_t cache) {
  const size_t of_slot = sizeof(float) + sizeof(int64_t);  // score and position
  return static_cast<size_t>(cache + 1) *
         (shape.token_bytes() + static_cast<size_t>(shape.n_kv_heads) * of_slot);
}

size_t SteppedLayer::bytes() const {
  return keys_.nbytes() + values_.nbytes() + scores_.nbytes() + positions_.nbytes();
}

std::vector<std::vector<int64_t>> SteppedLayer::held() const {
  const at::Tensor sorted = std::get<0>(positions_.cpu().sort(1)).contiguous();
  std::vector<std::vector<int64_t>> held(static_cast<size_t>(shape_.n_kv_heads));
  for (int64_t g = 0; g < shape_.n_kv_heads; ++g) {
    const int64_t* row = sorted.const_data_ptr<int64_t>() + g * sorted.size(1);
    std::copy_if(row, row + sorted.size(1), std::back_inserter(held[static_cast<size_t>(g)]),
                 [](int64_t position) { return position >= 0; });
  }
  return held;
}

}  // namespace dsrasq::policy
