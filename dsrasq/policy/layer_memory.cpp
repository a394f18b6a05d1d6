#include "dsrasq/policy/layer_memory.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "dsrasq/ops/grouped_heads.h"
#include "dsrasq/ops/rows.h"

namespace dsrasq::policy {

HeadShape HeadShape::of(const AttentionShape& shape, int64_t layer, at::Device device) {
  const auto dtype = device.is_cpu() ? at::kFloat : at::kBFloat16;
  return {.n_heads = shape.n_heads,
          .n_kv_heads = shape.n_kv_heads,
          .head_dim = shape.head_dim,
          .scale = shape.layers[static_cast<size_t>(layer)].scale,
          .softcap = shape.logit_softcap,
          .rows = at::TensorOptions(device).dtype(dtype)};
}

at::Tensor grouped_products(const at::Tensor& q, const at::Tensor& keys) {
  return ops::grouped_products(q.to(keys.scalar_type()), keys).to(at::kFloat);
}

at::Tensor grouped_logits(const at::Tensor& q, const at::Tensor& keys, const HeadShape& shape) {
  return ops::softcap(grouped_products(q, keys).mul_(shape.scale), shape.softcap);
}

at::Tensor visible_softmax(const at::Tensor& logits, const at::Tensor& visible) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  return at::softmax(logits.masked_fill(at::logical_not(visible), kMinusInfinity), -1);
}

at::Tensor grouped_values(const at::Tensor& weights, const at::Tensor& values) {
  return ops::grouped_values(weights.to(values.scalar_type()), values);
}

at::Tensor group_mean(const at::Tensor& per_head, int64_t n_kv_heads) {
  std::vector<int64_t> sizes = per_head.sizes().vec();
  sizes[0] /= n_kv_heads;
  sizes.insert(sizes.begin(), n_kv_heads);
  return per_head.reshape(sizes).mean(1);
}

at::Tensor positions_from(int64_t first, int64_t n, at::Device device) {
  return at::arange(first, first + n, at::TensorOptions(device).dtype(at::kLong));
}

at::Tensor causal(int64_t n_queries, int64_t n_keys, at::Device device) {
  return positions_from(0, n_keys, device).unsqueeze(0) <=
         positions_from(n_keys - n_queries, n_queries, device).unsqueeze(1);
}

std::vector<std::vector<int64_t>> held_by_all(int64_t n_kv_heads,
                                              const std::vector<int64_t>& positions) {
  return std::vector(static_cast<size_t>(n_kv_heads), positions);
}

}  // namespace dsrasq::policy
