#include "dsrasq/policy/cuda_pool.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/cuda/gathered_attention.h"
#include "dsrasq/cuda/index_rows.h"
#include "dsrasq/cuda/index_scan.h"
#include "dsrasq/ops/device_pointers.h"

namespace dsrasq::policy {

using ops::bf16_pointer;
using ops::current_stream;
using ops::device_pointer;

CudaPool::CudaPool(const Config& config, const PolicyOptions& options,
                   const retriever::Adapter* adapter, int64_t layer, at::Device device)
    : config_(config) {
  const auto bytes = at::TensorOptions(device).dtype(at::kChar);
  const auto floats = bytes.dtype(at::kFloat), halves = bytes.dtype(at::kBFloat16);
  const int64_t heads = config.n_kv_heads, dim = config.head_dim, rows = config.capacity;
  sink_k_ = at::zeros({config.rule.sinks, heads, dim}, halves);
  sink_k_rotated_ = at::zeros_like(sink_k_);
  sink_v_ = at::zeros_like(sink_k_);
  if (config.top_k == 0) return;
  DSRASQ_CHECK(adapter != nullptr && adapter->indexers.contains(layer), kInvalidArgument,
               "policy.cuda_pool", "dsrasq needs an adapter with an indexer for layer ", layer);
  index_heads_ = adapter->n_heads;
  index_dim_ = adapter->head_dim;
  // Written before use, but a GPU reads beyond what is seen and then drops it: no NaN there.
  k_ = at::zeros({rows, heads, dim}, bytes);
  v_ = at::zeros_like(k_);
  k_scale_ = at::zeros({rows, heads}, floats);
  v_scale_ = at::zeros_like(k_scale_);
  index_key_ = at::zeros({rows, index_dim_}, bytes);
  index_scale_ = at::zeros({rows}, floats);
  const retriever::IndexerParameters& p = adapter->indexers.at(layer);
  const auto ready = [&](const at::Tensor& t) { return t.to(at::kFloat).contiguous().to(device); };
  projection_ = ready(at::cat({p.query, p.key, p.head_weight, p.local}));
  bias_ = ready(at::cat({at::zeros({(index_heads_ + 1) * index_dim_}), p.head_bias.to(at::kFloat),
                         p.local_bias.to(at::kFloat)}));
  norm_weight_ = ready(p.norm_weight);
  norm_bias_ = ready(p.norm_bias);
  sizes_.emplace(options, *adapter, layer, device);
  n_picked_ = at::zeros({}, bytes.dtype(at::kLong));
}

cuda::TokenRing CudaPool::ring(const RopeRing& rope) const {
  return {.k = device_pointer<int8_t>(k_),
          .v = device_pointer<int8_t>(v_),
          .k_scale = device_pointer<float>(k_scale_),
          .v_scale = device_pointer<float>(v_scale_),
          .index_key = device_pointer<int8_t>(index_key_),
          .index_scale = device_pointer<float>(index_scale_),
          .cos = device_pointer<float>(rope.cos),
          .sin = device_pointer<float>(rope.sin),
          .turns = device_pointer<uint16_t>(rope.turns),
          .capacity = config_.capacity};
}

void CudaPool::take_sinks(int64_t first, const at::Tensor& k, const at::Tensor& k_rotated,
                          const at::Tensor& v) {
  const int64_t n = std::min(config_.rule.sinks - first, k.size(0));
  if (n <= 0) return;
  const auto take = [&](const at::Tensor& to, const at::Tensor& from) {
    to.narrow(0, first, n).copy_(from.narrow(0, 0, n));
  };
  take(sink_k_, k), take(sink_k_rotated_, k_rotated), take(sink_v_, v);
}

CudaPool::Picked CudaPool::pick(const PoolQueries& queries) {
  const int64_t n = queries.x.size(0);
  const auto padded = cuda::padded_heads(static_cast<int32_t>(index_heads_));
  const cuda::Stream stream = current_stream(queries.x.device());
  const at::Tensor x = queries.x.to(at::kFloat);
  const at::Tensor projected = at::linear(x, projection_, bias_);
  const auto floats = projected.options();
  const at::Tensor codes = at::empty({n, padded, index_dim_}, floats.dtype(at::kChar));
  const at::Tensor weights = at::empty({n, padded}, floats);
  cuda::TokenRing ring = this->ring({});
  cuda::quantize_index_rows({.projected = projected.const_data_ptr<float>(),
                             .norm_weight = norm_weight_.const_data_ptr<float>(),
                             .norm_bias = norm_bias_.const_data_ptr<float>(),
                             .n = n,
                             .first = queries.first,
                             .n_heads = static_cast<int32_t>(index_heads_),
                             .dim = static_cast<int32_t>(index_dim_),
                             .ring = ring,
                             .query = device_pointer<int8_t>(codes),
                             .weight = device_pointer<float>(weights)},
                            stream);
  const bool cuts = sizes_->leaves_out();
  Picked picked{at::empty({n, config_.top_k}, floats.dtype(at::kInt)),
                at::empty({n}, floats.dtype(at::kInt))};
  const at::Tensor scores = cuts ? at::empty({n, config_.top_k}, floats) : at::Tensor();
  const at::Tensor log_mass = cuts ? at::empty({n}, floats) : at::Tensor();
  cuda::IndexScan scan{.query = device_pointer<int8_t>(codes),
                       .weight = device_pointer<float>(weights),
                       .padded_heads = padded,
                       .dim = static_cast<int32_t>(index_dim_),
                       .key = ring.index_key,
                       .key_scale = ring.index_scale,
                       .capacity = config_.capacity,
                       .rule = config_.rule,
                       .n = n,
                       .first = queries.first,
                       .k = static_cast<int32_t>(config_.top_k),
                       .best_first = cuts,
                       .selected = device_pointer<int32_t>(picked.rows),
                       .n_selected = device_pointer<int32_t>(picked.count),
                       .scores = device_pointer<float>(scores),
                       .log_mass = device_pointer<float>(log_mass),
                       .scratch = nullptr};
  at::Tensor scratch;
  if (const int64_t n_bytes = cuda::scan_scratch_bytes(scan); n_bytes > 0) {
    scratch = at::empty({n_bytes}, floats.dtype(at::kByte));
    scan.scratch = scratch.mutable_data_ptr();
  }
  cuda::select_top_k(scan, stream);
  if (!cuts) {
    for (int64_t i = queries.first; i < queries.first + n; ++i)
      n_counted_ +=
          std::clamp<int64_t>(config_.rule.end(i) - config_.rule.first(i), 0, config_.top_k);
    return picked;
  }
  const at::Tensor local = projected.narrow(1, projected.size(1) - 1, 1);
  const at::Tensor kept = sizes_->kept(x, scores, log_mass.unsqueeze(1), local);
  picked.count = at::minimum(picked.count, kept.sum({1}, false, at::kInt));
  n_picked_.add_(picked.count.sum());
  return picked;
}

void CudaPool::attend(const PoolQueries& queries, const RopeRing& rope) {
  const Picked picked = config_.top_k > 0 ? pick(queries) : Picked{};
  cuda::gathered_attention({.q = bf16_pointer(queries.q),
                            .q_far = bf16_pointer(queries.q_far),
                            .ring = ring(rope),
                            .selected = device_pointer<int32_t>(picked.rows),
                            .n_selected = device_pointer<int32_t>(picked.count),
                            .k = static_cast<int32_t>(config_.top_k),
                            .sink_k = bf16_pointer(sink_k_),
                            .sink_k_rotated = bf16_pointer(sink_k_rotated_),
                            .sink_v = bf16_pointer(sink_v_),
                            .n_sinks = static_cast<int32_t>(config_.rule.sinks),
                            .window_out = bf16_pointer(queries.out),
                            .window_mass = device_pointer<float>(queries.mass),
                            .n = queries.q.size(0),
                            .first = queries.first,
                            .window = config_.rule.window,
                            .d_max = config_.d_max,
                            .n_heads = static_cast<int32_t>(queries.q.size(1)),
                            .n_kv_heads = static_cast<int32_t>(config_.n_kv_heads),
                            .head_dim = static_cast<int32_t>(config_.head_dim),
                            .scale = static_cast<float>(queries.scale),
                            .out = bf16_pointer(queries.out)},
                           current_stream(queries.q.device()));
}

std::pair<at::Tensor, at::Tensor> CudaPool::stored(int64_t first, int64_t n) const {
  const at::Tensor rows =
      at::arange(first, first + n, k_.options().dtype(at::kLong)).remainder(config_.capacity);
  const auto values = [&](const at::Tensor& codes, const at::Tensor& scale) {
    return codes.index_select(0, rows).to(at::kFloat) * scale.index_select(0, rows).unsqueeze(2);
  };
  return {values(k_, k_scale_), values(v_, v_scale_)};
}

int64_t CudaPool::n_picked() const {
  return n_counted_ + (n_picked_.defined() ? n_picked_.item<int64_t>() : 0);
}

size_t CudaPool::bytes() const {
  size_t bytes = 0;
  for (const at::Tensor* t : {&k_, &v_, &k_scale_, &v_scale_, &index_key_, &index_scale_, &sink_k_,
                              &sink_k_rotated_, &sink_v_})
    bytes += t->defined() ? t->nbytes() : 0;
  return bytes;
}

}  // namespace dsrasq::policy
