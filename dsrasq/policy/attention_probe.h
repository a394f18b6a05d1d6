#pragma once

// What a token attends to in the whole model: full attention that says so, as pruning a context by
// attention wants it (AttentionRAG, Fang et al. 2025, arXiv 2503.10720).

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "dsrasq/policy/policy.h"

namespace dsrasq::policy {

/// One sequence. Let the model read with `policy()`, as far as its `admit` allows at a time.
class AttentionProbe {
 public:
  /// `shape` must outlive it.
  AttentionProbe(const AttentionShape& shape, at::Device device);
  ~AttentionProbe();

  Policy& policy() { return *policy_; }

  /// How the token that was read last attended to all tokens up to itself: the mean over a layer's
  /// heads, summed over the layers, fp32 `[N]` on the CPU. Layers with a sliding window of their
  /// own are left out. Something was read.
  at::Tensor last_attention() const;

 private:
  class Layer;
  std::vector<const Layer*> layers_;  // owned by the policy
  std::unique_ptr<Policy> policy_;
};

}  // namespace dsrasq::policy
