#include "dsrasq/policy/full_policy.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/dense_attention.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kCallTokens = 512;  // bounds the activations of a call
constexpr int64_t kFirstTokens = 2048;

}  // namespace

FullPolicy::FullPolicy(const AttentionShape& shape)
    : shape_(shape), layers_(static_cast<size_t>(shape.n_layers)) {}

int64_t FullPolicy::admit(int64_t n_tokens) const { return std::min(n_tokens, kCallTokens); }

kernels::KvTiles FullPolicy::tiles(const Layer& layer, int64_t capacity) const {
  return {.k = layer.keys.data(),
          .v = layer.values.data(),
          .n_tiles = capacity / kernels::kTileTokens,
          .n_kv_heads = static_cast<int32_t>(shape_.n_kv_heads),
          .head_dim = static_cast<int32_t>(shape_.head_dim)};
}

// Doubles the room when it is short, so that a token is copied twice on average.
void FullPolicy::reserve(int64_t n_tokens) {
  if (n_tokens <= capacity_) return;
  int64_t capacity = std::max(kFirstTokens, capacity_);
  while (capacity < n_tokens) capacity *= 2;
  const int64_t old_head = capacity_ * shape_.head_dim, new_head = capacity * shape_.head_dim;
  const auto grow = [&](Buffer<float>& buffer) {
    Buffer<float> larger(shape_.n_kv_heads * new_head);
    for (int64_t g = 0; g < shape_.n_kv_heads; ++g)
      std::copy_n(buffer.data() + g * old_head, old_head, larger.data() + g * new_head);
    buffer = std::move(larger);
  };
  for (Layer& layer : layers_) {
    grow(layer.keys);
    grow(layer.values);
  }
  capacity_ = capacity;
}

void FullPolicy::begin(int64_t n_tokens) {
  n_call_ = n_tokens;
  reserve(position_ + n_tokens);
  angles_.clear();
}

const ops::Rope::Angles& FullPolicy::angles(const ops::Rope& rope) {
  for (const auto& [of, angles] : angles_)
    if (of->inv_freq() == rope.inv_freq()) return angles;
  return angles_.emplace_back(&rope, rope.angles(position_, n_call_, at::kCPU)).second;
}

at::Tensor FullPolicy::attend(const LayerInput& input) {
  const auto& own = shape_.layers[static_cast<size_t>(input.layer)];
  const kernels::KvTiles cache = tiles(layers_[static_cast<size_t>(input.layer)], capacity_);
  const ops::Rope::Angles& now = angles(own.rope);
  const at::Tensor q = ops::rotate(input.q, now), k = ops::rotate(input.k, now);
  kernels::store_kv_tiles(cache, k.const_data_ptr<float>(), input.v.const_data_ptr<float>(),
                          position_, n_call_);
  at::Tensor out = at::empty_like(q);
  kernels::dense_attention({.cache = cache,
                            .q = q.const_data_ptr<float>(),
                            .out = out.mutable_data_ptr<float>(),
                            .n = n_call_,
                            .pos0 = position_,
                            .H = static_cast<int32_t>(shape_.n_heads),
                            .scale = static_cast<float>(own.scale),
                            .window = own.sliding_window,
                            .softcap = static_cast<float>(shape_.logit_softcap)});
  return out;
}

size_t FullPolicy::bytes_for(const AttentionShape& shape, int64_t n_tokens) {
  return static_cast<size_t>(shape.n_layers * 2 * shape.n_kv_heads * shape.head_dim * n_tokens) *
         sizeof(float);
}

void FullPolicy::save(formats::ChunkFileWriter& out) const {
  const int64_t counters[] = {position_, capacity_};
  out.add("policy", std::as_bytes(std::span(counters)));
  for (size_t i = 0; i < layers_.size(); ++i) {
    out.add(concat("layer.", i, ".keys"), layers_[i].keys.raw());
    out.add(concat("layer.", i, ".values"), layers_[i].values.raw());
  }
}

void FullPolicy::load(const formats::ChunkFile& in) {
  int64_t counters[2] = {};
  in.copy_to("policy", std::as_writable_bytes(std::span(counters)));
  const auto file_bytes = static_cast<int64_t>(in.size_bytes());
  DSRASQ_CHECK(counters[0] >= 0 && counters[0] <= file_bytes &&
                   bytes_for(shape_, counters[0]) <= in.size_bytes(),
               kBadInput, "policy.full_policy", in.path().string(), ": position ", counters[0],
               " does not fit the file");
  reserve(counters[0]);
  position_ = counters[0];
  for (size_t i = 0; i < layers_.size(); ++i) {
    in.copy_to(concat("layer.", i, ".keys"), layers_[i].keys.raw());
    in.copy_to(concat("layer.", i, ".values"), layers_[i].values.raw());
  }
}

}  // namespace dsrasq::policy
