#include "dsrasq/policy/band_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <numeric>

namespace dsrasq::policy {

BandLayer::BandLayer(const HeadShape& shape, const ops::Rope& rope, int64_t n_sinks,
                     int64_t n_recent)
    : shape_(shape), rope_(rope), n_sinks_(n_sinks), n_recent_(n_recent) {
  const auto rows = [&](int64_t n) {
    return at::zeros({shape.n_kv_heads, n, shape.head_dim}, shape.rows);
  };
  sink_keys_ = rows(n_sinks);
  sink_values_ = rows(n_sinks);
  recent_keys_ = rows(n_recent);
  recent_values_ = rows(n_recent);
}

// Over the first n sinks: [H, T, n].
at::Tensor BandLayer::sink_logits(const LayerTokens& tokens, int64_t n) const {
  const at::Tensor keys = sink_keys_.narrow(1, 0, n);
  const at::Tensor near = grouped_logits(tokens.q, keys, shape_);
  const int64_t n_tokens = tokens.q.size(1), farthest = n_sinks_ + n_recent_;
  if (tokens.first + n_tokens <= farthest + 1) return near;
  const auto angles = rope_.angles(farthest, n_tokens, shape_.rows.device(), 0);
  const at::Tensor q = ops::rotate(tokens.q_without_rope, angles).transpose(0, 1);
  const at::Tensor is_far =
      positions_from(tokens.first, n_tokens, shape_.rows.device()).unsqueeze(1) > farthest;
  return at::where(is_far, grouped_logits(q, keys, shape_), near);
}

at::Tensor BandLayer::attend(const LayerTokens& tokens) {
  const int64_t n = tokens.q.size(1), end = tokens.first + n;
  const int64_t n_new_sinks = std::clamp<int64_t>(n_sinks_ - tokens.first, 0, n);
  if (n_new_sinks > 0) {
    sink_keys_.narrow(1, tokens.first, n_new_sinks).copy_(tokens.k.narrow(1, 0, n_new_sinks));
    sink_values_.narrow(1, tokens.first, n_new_sinks).copy_(tokens.v.narrow(1, 0, n_new_sinks));
  }
  const auto with_new = [&](const at::Tensor& held, const at::Tensor& fresh) {
    return at::cat({held.narrow(1, 0, n_held_),
                    fresh.narrow(1, n_new_sinks, n - n_new_sinks).to(held.scalar_type())},
                   1);
  };
  const at::Tensor keys = with_new(recent_keys_, tokens.k);
  const at::Tensor values = with_new(recent_values_, tokens.v);

  const auto device = shape_.rows.device();
  const int64_t n_sinks = std::min(n_sinks_, end);
  const at::Tensor query = positions_from(tokens.first, n, device).unsqueeze(1);
  const at::Tensor sink = positions_from(0, n_sinks, device).unsqueeze(0);
  const at::Tensor recent = positions_from(end - keys.size(1), keys.size(1), device).unsqueeze(0);
  const at::Tensor visible =
      at::cat({sink <= query, at::logical_and(recent <= query, recent >= query - n_recent_)}, 1);
  const at::Tensor logits =
      at::cat({sink_logits(tokens, n_sinks), grouped_logits(tokens.q, keys, shape_)}, -1);
  const at::Tensor out = grouped_values(visible_softmax(logits, visible),
                                        at::cat({sink_values_.narrow(1, 0, n_sinks), values}, 1));
  store_recent(keys, values);
  position_ = end;
  return out;
}

void BandLayer::store_recent(const at::Tensor& keys, const at::Tensor& values) {
  n_held_ = std::min(n_recent_, keys.size(1));
  const int64_t first = keys.size(1) - n_held_;
  recent_keys_.narrow(1, 0, n_held_).copy_(keys.narrow(1, first, n_held_));
  recent_values_.narrow(1, 0, n_held_).copy_(values.narrow(1, first, n_held_));
}

size_t BandLayer::bytes() const {
  return sink_keys_.nbytes() + sink_values_.nbytes() + recent_keys_.nbytes() +
         recent_values_.nbytes();
}

std::vector<std::vector<int64_t>> BandLayer::held() const {
  const int64_t n_sinks = std::min(n_sinks_, position_);
  std::vector<int64_t> positions(static_cast<size_t>(n_sinks + n_held_));
  const auto recent = positions.begin() + n_sinks;
  std::iota(positions.begin(), recent, 0);
  std::iota(recent, positions.end(), position_ - n_held_);
  return held_by_all(shape_.n_kv_heads, positions);
}

}  // namespace dsrasq::policy
