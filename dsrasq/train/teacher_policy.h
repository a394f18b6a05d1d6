#pragma once

// The teacher of the warm-up as a policy: the model reads a stretch with full attention, and every
// layer's true attention mass passes by while the layer's tensors are still there.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "dsrasq/train/dense_attention.h"
#include "dsrasq/train/stretch_policy.h"

namespace dsrasq::train {

struct TeacherOptions {
  int64_t sinks = 4;
  int64_t window = 512;
  int64_t d_max = 0;            ///< of the mass; 0: not clamped
  bool clamped_output = false;  ///< what the layers pass on: clamped too, or as trained
};

/// Reads one stretch in one call. Layers with a sliding window have no far tokens and are not
/// visited.
class TeacherPolicy final : public StretchPolicy {
 public:
  /// Gets a layer's index, its normalised input `[T, E]` and the target of the sampled rows.
  using Visit = std::function<void(int64_t layer, const at::Tensor& x, const AttentionTarget&)>;

  /// `rows`: each with far tokens (position at least window + sinks). `shape` and `angles` must
  /// outlive the policy.
  TeacherPolicy(const policy::AttentionShape& shape, const TeacherOptions& options,
                SampledRows rows, AngleCache& angles, Visit visit);

  at::Tensor attend(const policy::LayerInput& input) override;

 private:
  const policy::AttentionShape& shape_;
  TeacherOptions options_;
  SampledRows rows_;
  AngleCache& angles_;
  Visit visit_;
};

}  // namespace dsrasq::train
