#pragma once

// Full attention with a KV cache that grows: what every other policy is compared with.

#include <utility>
#include <vector>

#include "dsrasq/core/buffer.h"
#include "dsrasq/kernels/kv_tiles.h"
#include "dsrasq/policy/policy.h"

namespace dsrasq::policy {

/// Keeps every token in fp32, keys after RoPE at their true distances. Layers with a sliding window
/// of their own attend to that only. CPU only; `shape` must outlive the policy.
class FullPolicy final : public Policy {
 public:
  explicit FullPolicy(const AttentionShape& shape);

  std::string name() const override { return "full"; }
  int64_t admit(int64_t n_tokens) const override;
  void begin(int64_t n_tokens) override;
  at::Tensor attend(const LayerInput& input) override;
  void end() override { position_ += n_call_; }
  int64_t position() const override { return position_; }
  size_t bytes() const override { return bytes_for(shape_, capacity_); }
  void save(formats::ChunkFileWriter& out) const override;
  void load(const formats::ChunkFile& in) override;

  /// Of a cache with room for `n_tokens`.
  static size_t bytes_for(const AttentionShape& shape, int64_t n_tokens);

 private:
  struct Layer {
    Buffer<float> keys, values;
  };
  kernels::KvTiles tiles(const Layer& layer, int64_t capacity) const;
  void reserve(int64_t n_tokens);
  const ops::Rope::Angles& angles(const ops::Rope& rope);

  const AttentionShape& shape_;
  std::vector<Layer> layers_;
  int64_t capacity_ = 0;  // tokens, a multiple of 16
  int64_t position_ = 0, n_call_ = 0;
  std::vector<std::pair<const ops::Rope*, ops::Rope::Angles>> angles_;  // of the call, by kind
};

}  // namespace dsrasq::policy
