#pragma once

// A policy made of one LayerMemory a layer: rotates queries and keys, hands every layer its tokens.
// Plain tensor operations on any device; equal up to rounding however a text is cut into calls.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

class LayeredPolicy final : public Policy {
 public:
  /// One memory for each layer of `shape`, which must outlive the policy.
  LayeredPolicy(std::string name, const AttentionShape& shape, at::Device device,
                std::vector<std::unique_ptr<LayerMemory>> layers);

  std::string name() const override { return name_; }
  int64_t admit(int64_t n_tokens) const override;
  void begin(int64_t n_tokens) override;
  at::Tensor attend(const LayerInput& input) override;
  void end() override { position_ += n_call_; }
  void prompt_ended() override;
  int64_t position() const override { return position_; }
  size_t bytes() const override;
  /// Throw kUnavailable: baselines are for comparison within one run.
  void save(formats::ChunkFileWriter& out) const override;
  void load(const formats::ChunkFile& in) override;

  /// Positions of the tokens that a layer holds, ascending, per KV head.
  std::vector<std::vector<int64_t>> held(int64_t layer) const;

 private:
  const ops::Rope::Angles& angles(const ops::Rope& rope);

  std::string name_;
  const AttentionShape& shape_;
  at::Device device_;
  std::vector<std::unique_ptr<LayerMemory>> layers_;
  int64_t position_ = 0, n_call_ = 0;
  bool prompt_ended_ = false;
  std::vector<std::pair<const ops::Rope*, ops::Rope::Angles>> angles_;  // of the call, by kind
};

}  // namespace dsrasq::policy
