#pragma once

// The teacher of the warm-up as a policy: the model reads a stretch with full attention, and every
// layer's true attention mass passes by while the layer's tensors are still there.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "dsrasq/policy/policy.h"
#include "dsrasq/train/dense_attention.h"

namespace dsrasq::train {

struct TeacherOptions {
  int64_t sinks = 4;
  int64_t window = 512;
  int64_t d_max = 0;            ///< of the mass; 0: not clamped
  bool clamped_output = false;  ///< what the layers pass on: clamped too, or as trained
};

/// Reads one stretch in one call. Layers with a sliding window have no far tokens and are not
/// visited.
class TeacherPolicy final : public policy::Policy {
 public:
  /// Gets a layer's index, its normalised input `[T, E]` and the target of the sampled rows.
  using Visit = std::function<void(int64_t layer, const at::Tensor& x, const AttentionTarget&)>;

  /// `rows`: each with far tokens (position at least window + sinks). `shape` and `angles` must
  /// outlive the policy.
  TeacherPolicy(const policy::AttentionShape& shape, const TeacherOptions& options,
                SampledRows rows, AngleCache& angles, Visit visit);

  std::string name() const override { return "teacher"; }
  int64_t admit(int64_t n_tokens) const override { return n_tokens; }
  void begin(int64_t n_tokens) override;
  at::Tensor attend(const policy::LayerInput& input) override;
  void end() override { position_ = n_tokens_; }
  int64_t position() const override { return position_; }
  size_t bytes() const override { return 0; }
  void save(formats::ChunkFileWriter& out) const override;
  void load(const formats::ChunkFile& in) override;

 private:
  const policy::AttentionShape& shape_;
  TeacherOptions options_;
  SampledRows rows_;
  AngleCache& angles_;
  Visit visit_;
  int64_t n_tokens_ = 0, position_ = 0;
};

}  // namespace dsrasq::train
