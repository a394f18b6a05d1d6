#include "dsrasq/policy/layered_policy.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "dsrasq/core/error.h"

namespace dsrasq::policy {
namespace {

constexpr const char* kInLayeredPolicy = "policy.layered_policy";
constexpr int64_t kLayeredCallTokens = 512;  // bounds the activations of a call
constexpr int64_t kTileTokens = 128;         // bounds the logits of a layer

}  // namespace

LayeredPolicy::LayeredPolicy(std::string name, const AttentionShape& shape, at::Device device,
                             std::vector<std::unique_ptr<LayerMemory>> layers)
    : name_(std::move(name)), shape_(shape), device_(device), layers_(std::move(layers)) {}

int64_t LayeredPolicy::admit(int64_t n_tokens) const {
  return std::min(n_tokens, kLayeredCallTokens);
}

void LayeredPolicy::begin(int64_t n_tokens) {
  n_call_ = n_tokens;
  angles_.clear();
}

const ops::Rope::Angles& LayeredPolicy::angles(const ops::Rope& rope) {
  for (const auto& [of, angles] : angles_)
    if (of->inv_freq() == rope.inv_freq()) return angles;
  return angles_.emplace_back(&rope, rope.angles(position_, n_call_, device_)).second;
}

at::Tensor LayeredPolicy::attend(const LayerInput& input) {
  const auto index = static_cast<size_t>(input.layer);
  const ops::Rope::Angles& now = angles(shape_.layers[index].rope);
  const at::Tensor q = ops::rotate(input.q, now).transpose(0, 1);
  const at::Tensor k = ops::rotate(input.k, now).transpose(0, 1), v = input.v.transpose(0, 1);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < n_call_; begin += kTileTokens) {
    const int64_t n = std::min(kTileTokens, n_call_ - begin);
    parts.push_back(layers_[index]->attend({.first = position_ + begin,
                                            .q = q.narrow(1, begin, n),
                                            .k = k.narrow(1, begin, n),
                                            .v = v.narrow(1, begin, n),
                                            .q_without_rope = input.q.narrow(0, begin, n),
                                            .k_without_rope = input.k.narrow(0, begin, n)}));
  }
  return at::cat(parts, 1).transpose(0, 1).to(input.q.scalar_type()).contiguous();
}

void LayeredPolicy::prompt_ended() {
  if (prompt_ended_) return;
  prompt_ended_ = true;
  for (const auto& layer : layers_) layer->prompt_ended();
}

size_t LayeredPolicy::bytes() const {
  size_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer->bytes();
  return bytes;
}

std::vector<std::vector<int64_t>> LayeredPolicy::held(int64_t layer) const {
  return layers_[static_cast<size_t>(layer)]->held();
}

void LayeredPolicy::save(formats::ChunkFileWriter&) const {
  throw Error(ErrorCode::kUnavailable, kInLayeredPolicy,
              "a session of " + name_ + " cannot be saved; use another --policy");
}

void LayeredPolicy::load(const formats::ChunkFile&) {
  throw Error(ErrorCode::kUnavailable, kInLayeredPolicy,
              "a session of " + name_ + " cannot be restored; use another --policy");
}

}  // namespace dsrasq::policy
