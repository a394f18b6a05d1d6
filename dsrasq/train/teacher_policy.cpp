#include "dsrasq/train/teacher_policy.h"

#include <utility>

namespace dsrasq::train {

TeacherPolicy::TeacherPolicy(const policy::AttentionShape& shape, const TeacherOptions& options,
                             SampledRows rows, AngleCache& angles, Visit visit)
    : StretchPolicy("teacher"),
      shape_(shape),
      options_(options),
      rows_(std::move(rows)),
      angles_(angles),
      visit_(std::move(visit)) {}

at::Tensor TeacherPolicy::attend(const policy::LayerInput& input) {
  const DenseAttention attention = DenseAttention::of(input, shape_, options_.d_max, angles_);
  if (attention.sliding_window == 0 && visit_)
    visit_(input.layer, input.x, far_attention(attention, rows_, options_.sinks, options_.window));
  return attend_densely(attention, options_.clamped_output);
}

}  // namespace dsrasq::train
