#pragma once

// Full attention with a probe in every layer: zeros that are added to what the layer read, so that
// their gradient is that of the layer's output.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "dsrasq/train/dense_attention.h"
#include "dsrasq/train/stretch_policy.h"

namespace dsrasq::train {

/// What passed a layer, without gradients, and its probe.
struct ProbedLayer {
  DenseAttention attention;
  at::Tensor x;      ///< `[T, E]` its normalised input
  at::Tensor probe;  ///< `[T, H, D]` a leaf of zeros
};

class ProbePolicy final : public StretchPolicy {
 public:
  /// Distances are clamped at `d_max` (0: nowhere). `shape` and `angles` must outlive the policy.
  ProbePolicy(const policy::AttentionShape& shape, int64_t d_max, AngleCache& angles)
      : StretchPolicy("probe"), shape_(shape), d_max_(d_max), angles_(angles) {}

  at::Tensor attend(const policy::LayerInput& input) override;

  /// Those without a sliding window, after the reading.
  const std::map<int64_t, ProbedLayer>& layers() const { return layers_; }
  /// The gradients of all probes since they were taken last, by layer.
  std::map<int64_t, at::Tensor> take_gradients();

 private:
  const policy::AttentionShape& shape_;
  int64_t d_max_;
  AngleCache& angles_;
  std::map<int64_t, ProbedLayer> layers_;
};

}  // namespace dsrasq::train
