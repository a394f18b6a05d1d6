#include "dsrasq/policy/cuda_policy.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/cuda/append_tokens.h"
#include "dsrasq/cuda/index_scan.h"
#include "dsrasq/ops/device_pointers.h"
#include "dsrasq/policy/leaving_rule.h"

namespace dsrasq::policy {
namespace {

using ops::bf16_pointer;
using ops::current_stream;
using ops::device_pointer;

constexpr const char* kInCudaPolicy = "policy.cuda_policy";
constexpr int64_t kLongestCall = 8192;  // tokens

bool retrieves(const PolicyOptions& options) {
  return options.name == "dsrasq" && options.top_k > 0 && options.pool > 0;
}

// Neighbours in a row of a tensor [T, heads, D], tokens at any distance.
at::Tensor with_whole_rows(const at::Tensor& t) {
  const at::Tensor half = t.to(at::kBFloat16);
  return half.stride(2) == 1 && half.stride(1) == half.size(2) ? half : half.contiguous();
}

}  // namespace

bool CudaPolicy::supports(const PolicyOptions& o, const AttentionShape& shape,
                          const retriever::Adapter* adapter) {
  const bool is_known = o.name == "full" || o.name == "window" || o.name == "dsrasq";
  const int64_t dim = shape.head_dim;
  if (!is_known || shape.logit_softcap > 0 || (dim != 64 && dim != 128 && dim != 256)) return false;
  if (o.name == "full") return true;
  if (o.retention != "recency" || o.max_distance < o.window) return false;
  if (!retrieves(o)) return true;
  return adapter != nullptr && (adapter->head_dim == 32 || adapter->head_dim == 64) &&
         adapter->n_heads <= 8 && o.top_k <= cuda::most_selected();
}

CudaPolicy::CudaPolicy(const PolicyOptions& options, const AttentionShape& shape,
                       const retriever::Adapter* adapter, at::Device device)
    : options_(options), shape_(shape), device_(device) {
  rule_ = {.window = options.window,
           .pool = retrieves(options) ? options.pool : 0,
           .block = options.block,
           .sinks = options.sinks};
  capacity_ = rule_.capacity_for(kLongestCall);
  ropes_.reserve(static_cast<size_t>(shape.n_layers));
  for (int64_t i = 0; i < shape.n_layers; ++i) add_layer(i, adapter);
}

void CudaPolicy::add_layer(int64_t index, const retriever::Adapter* adapter) {
  const auto& own = shape_.layers[static_cast<size_t>(index)];
  const bool is_sparse = options_.name != "full" && own.sliding_window == 0;
  Layer layer{.rows = FlashRows(shape_.n_kv_heads, shape_.head_dim,
                                is_sparse ? options_.window : own.sliding_window, kLongestCall,
                                at::TensorOptions(device_)),
              .rope = rope_of(own.rope)};
  if (is_sparse) {
    layer.pool.emplace(CudaPool::Config{.rule = rule_,
                                        .capacity = capacity_,
                                        .d_max = options_.max_distance,
                                        .top_k = retrieves(options_) ? options_.top_k : 0,
                                        .n_kv_heads = shape_.n_kv_heads,
                                        .head_dim = shape_.head_dim},
                       options_, adapter, index, device_);
    if (retrieves(options_) && options_.slots > 0 && adapter->slots.contains(index))
      layer.slots.emplace(adapter->slots.at(index), leaving_rule(options_), own.scale, device_);
  }
  layers_.push_back(std::move(layer));
}

size_t CudaPolicy::rope_of(const ops::Rope& rope) {
  for (size_t i = 0; i < ropes_.size(); ++i)
    if (ropes_[i].first->inv_freq() == rope.inv_freq()) return i;
  RopeRing ring;
  ring.inv_freq = at::tensor(rope.inv_freq(), at::kDouble).to(device_);
  ring.cos = at::empty({capacity_, shape_.head_dim / 2}, at::TensorOptions(device_));
  ring.sin = at::empty_like(ring.cos);
  ring.turns = at::zeros({capacity_, shape_.head_dim}, at::TensorOptions(device_).dtype(at::kHalf));
  const ops::Rope::Angles far = rope.angles(options_.max_distance, 1, device_);
  ring.cos_far = far.cos.squeeze(0);
  ring.sin_far = far.sin.squeeze(0);
  ropes_.emplace_back(&rope, ring);
  return ropes_.size() - 1;
}

int64_t CudaPolicy::admit(int64_t n_tokens) const { return std::min(n_tokens, kLongestCall); }

void CudaPolicy::begin(int64_t n_tokens) {
  n_call_ = n_tokens;
  for (const auto& [rope, ring] : ropes_)
    cuda::fill_angles(ring.inv_freq.const_data_ptr<double>(),
                      static_cast<int32_t>(shape_.head_dim / 2), position_, n_tokens, capacity_,
                      device_pointer<float>(ring.cos), device_pointer<float>(ring.sin),
                      device_pointer<uint16_t>(ring.turns), current_stream(device_));
}

// Rotates and stores; returns the queries, rotated and rotated by the longest distance.
std::pair<at::Tensor, at::Tensor> CudaPolicy::append(const LayerInput& input, Layer& layer) const {
  const RopeRing& rope = ropes_[layer.rope].second;
  const at::Tensor q = with_whole_rows(input.q), k = with_whole_rows(input.k),
                   v = with_whole_rows(input.v);
  const at::Tensor q_rotated = at::empty(q.sizes(), q.options());
  const at::Tensor q_far = layer.pool ? at::empty_like(q_rotated) : at::Tensor();
  layer.rows.open(n_call_);
  const at::Tensor k_rotated = layer.rows.new_keys(), v_copy = layer.rows.new_values();
  const cuda::TokenRing ring = layer.pool ? layer.pool->ring(rope)
                                          : cuda::TokenRing{.cos = device_pointer<float>(rope.cos),
                                                            .sin = device_pointer<float>(rope.sin),
                                                            .turns = nullptr,
                                                            .capacity = capacity_};
  cuda::append_tokens({.q = bf16_pointer(q),
                       .k = bf16_pointer(k),
                       .v = bf16_pointer(v),
                       .q_stride = q.stride(0),
                       .k_stride = k.stride(0),
                       .v_stride = v.stride(0),
                       .n = n_call_,
                       .first = position_,
                       .n_heads = static_cast<int32_t>(shape_.n_heads),
                       .n_kv_heads = static_cast<int32_t>(shape_.n_kv_heads),
                       .head_dim = static_cast<int32_t>(shape_.head_dim),
                       .ring = ring,
                       .cos_far = layer.pool ? device_pointer<float>(rope.cos_far) : nullptr,
                       .sin_far = layer.pool ? device_pointer<float>(rope.sin_far) : nullptr,
                       .q_rotated = bf16_pointer(q_rotated),
                       .q_far = bf16_pointer(q_far),
                       .k_rotated = bf16_pointer(k_rotated),
                       .v_copy = bf16_pointer(v_copy)},
                      current_stream(device_));
  if (layer.pool) layer.pool->take_sinks(position_, k, k_rotated, v_copy);
  return {q_rotated, q_far};
}

at::Tensor CudaPolicy::attend(const LayerInput& input) {
  Layer& layer = layers_[static_cast<size_t>(input.layer)];
  const double scale = shape_.layers[static_cast<size_t>(input.layer)].scale;
  const auto [q, q_far] = append(input, layer);
  const FlashRows::Read window = layer.rows.attend(q, scale);
  if (layer.pool)
    layer.pool->attend({.x = input.x,
                        .q = q,
                        .q_far = q_far,
                        .out = window.out,
                        .mass = window.mass,
                        .scale = scale,
                        .first = position_},
                       ropes_[layer.rope].second);
  if (layer.slots)
    layer.slots->add(
        input.q, position_, [&](int64_t first, int64_t n) { return layer.pool->stored(first, n); },
        window.out);
  return window.out.to(input.q.scalar_type());
}

size_t CudaPolicy::bytes() const {
  size_t bytes = 0;
  for (const Layer& layer : layers_)
    bytes += layer.rows.bytes() + (layer.pool ? layer.pool->bytes() : 0) +
             (layer.slots ? layer.slots->bytes() : 0);
  for (const auto& [rope, ring] : ropes_)
    bytes += ring.cos.nbytes() + ring.sin.nbytes() + ring.turns.nbytes();
  return bytes;
}

double CudaPolicy::mean_retrieved() const {
  int64_t picked = 0, n_pools = 0;
  for (const Layer& layer : layers_) {
    if (!layer.pool) continue;
    picked += layer.pool->n_picked();
    ++n_pools;
  }
  if (n_pools == 0 || position_ == 0) return 0;
  return static_cast<double>(picked) / static_cast<double>(n_pools * position_);
}

void CudaPolicy::save(formats::ChunkFileWriter&) const {
  throw Error(ErrorCode::kUnavailable, kInCudaPolicy,
              "sessions on a GPU cannot be saved; use --device cpu");
}

void CudaPolicy::load(const formats::ChunkFile&) {
  throw Error(ErrorCode::kUnavailable, kInCudaPolicy,
              "sessions cannot be restored on a GPU; use --device cpu");
}

}  // namespace dsrasq::policy
