#include "dsrasq/policy/infini_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <numeric>

namespace dsrasq::policy {
namespace {

// What linear attention makes of a query or a key: s(x) = elu(x) + 1, in fp32.
at::Tensor features(const at::Tensor& x) { return at::elu(x.to(at::kFloat)) + 1; }

}  // namespace

InfiniLayer::InfiniLayer(const HeadShape& shape, int64_t segment, bool is_delta,
                         const at::Tensor& gate)
    : shape_(shape), segment_(segment), is_delta_(is_delta) {
  gate_ = gate.to(shape.rows.device(), at::kFloat).reshape({shape.n_heads, 1, 1});
  keys_ = at::zeros({shape.n_kv_heads, segment, shape.head_dim}, shape.rows);
  values_ = at::zeros_like(keys_);
  memory_ =
      at::zeros({shape.n_kv_heads, shape.head_dim, shape.head_dim}, shape.rows.dtype(at::kFloat));
  norm_ = at::zeros({shape.n_kv_heads, 1, shape.head_dim}, shape.rows.dtype(at::kFloat));
  next_memory_ = at::zeros_like(memory_);
  next_norm_ = at::zeros_like(norm_);
}

at::Tensor InfiniLayer::attend(const LayerTokens& tokens) {
  const int64_t n = tokens.q.size(1);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < n;) {
    const int64_t count = std::min(n - begin, segment_ - n_held_);
    parts.push_back(read(tokens, begin, count));
    begin += count;
    if (n_held_ < segment_) continue;
    memory_.copy_(next_memory_);
    norm_.copy_(next_norm_);
    n_held_ = 0;
  }
  return at::cat(parts, 1);
}

// Tokens [begin, begin + n), which are of one segment.
at::Tensor InfiniLayer::read(const LayerTokens& tokens, int64_t begin, int64_t n) {
  const at::Tensor v = tokens.v.narrow(1, begin, n);
  keys_.narrow(1, n_held_, n).copy_(tokens.k.narrow(1, begin, n));
  values_.narrow(1, n_held_, n).copy_(v);
  n_held_ += n;
  position_ += n;
  const at::Tensor logits =
      grouped_logits(tokens.q.narrow(1, begin, n), keys_.narrow(1, 0, n_held_), shape_);
  const at::Tensor weights = visible_softmax(logits, causal(n, n_held_, shape_.rows.device()));
  at::Tensor out = grouped_values(weights, values_.narrow(1, 0, n_held_));
  if (position_ > n_held_) {
    const at::Tensor far = read_memory(tokens.q_without_rope.narrow(0, begin, n));
    out = gate_ * far + (1 - gate_) * out;
  }
  write(tokens.k_without_rope.narrow(0, begin, n), v);
  return out;
}

at::Tensor InfiniLayer::read_memory(const at::Tensor& q_without_rope) const {
  const at::Tensor q = features(q_without_rope).transpose(0, 1);
  return grouped_values(q, memory_) / grouped_products(q, norm_);
}

void InfiniLayer::write(const at::Tensor& k_without_rope, const at::Tensor& v) {
  const at::Tensor k = features(k_without_rope).transpose(0, 1);
  at::Tensor values = v.to(at::kFloat);
  if (is_delta_ && position_ > n_held_)
    values = values - at::matmul(k, memory_) / at::matmul(k, norm_.transpose(1, 2));
  next_memory_ += at::matmul(k.transpose(1, 2), values);
  next_norm_ += k.sum(1, true);
}

size_t InfiniLayer::planned_bytes(const HeadShape& shape, int64_t segment) {
  const int64_t of_memory = shape.head_dim * (shape.head_dim + 1);
  return shape.token_bytes() * static_cast<size_t>(segment) +
         static_cast<size_t>(2 * shape.n_kv_heads * of_memory) * sizeof(float);
}

size_t InfiniLayer::bytes() const {
  return keys_.nbytes() + values_.nbytes() + 2 * (memory_.nbytes() + norm_.nbytes());
}

std::vector<std::vector<int64_t>> InfiniLayer::held() const {
  std::vector<int64_t> positions(static_cast<size_t>(n_held_));
  std::iota(positions.begin(), positions.end(), position_ - n_held_);
  return held_by_all(shape_.n_kv_heads, positions);
}

}  // namespace dsrasq::policy
