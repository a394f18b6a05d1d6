#include "dsrasq/train/teacher_policy.h"

#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::train {

TeacherPolicy::TeacherPolicy(const policy::AttentionShape& shape, const TeacherOptions& options,
                             SampledRows rows, AngleCache& angles, Visit visit)
    : shape_(shape),
      options_(options),
      rows_(std::move(rows)),
      angles_(angles),
      visit_(std::move(visit)) {}

void TeacherPolicy::begin(int64_t n_tokens) {
  DSRASQ_CHECK(n_tokens_ == 0, kInternal, "train.teacher", "a teacher reads one stretch, once");
  n_tokens_ = n_tokens;
}

at::Tensor TeacherPolicy::attend(const policy::LayerInput& input) {
  const DenseAttention attention = DenseAttention::of(input, shape_, options_.d_max, angles_);
  if (attention.sliding_window == 0 && visit_)
    visit_(input.layer, input.x, far_attention(attention, rows_, options_.sinks, options_.window));
  return attend_densely(attention, options_.clamped_output);
}

void TeacherPolicy::save(formats::ChunkFileWriter&) const {
  throw Error(ErrorCode::kInternal, "train.teacher", "a teacher has no state to save");
}

void TeacherPolicy::load(const formats::ChunkFile&) {
  throw Error(ErrorCode::kInternal, "train.teacher", "a teacher has no state to load");
}

}  // namespace dsrasq::train
