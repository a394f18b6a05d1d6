#pragma once

// Adam over several matrices of parameters, each with its own learning rate, in one process or in
// several; and what a checkpoint keeps of them.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/train/adam.h"
#include "dsrasq/train/process_group.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {

/// A matrix `[L, P]` that is written to, its gradient, and how Adam goes about it.
struct OptimisedGroup {
  at::Tensor parameters, gradient;
  AdamOptions options;
};

class GroupOptimiser {
 public:
  explicit GroupOptimiser(std::vector<OptimisedGroup> groups);

  /// One step of every group whose learning rate, of `rates`, is above 0. The gradients of this
  /// process, and its part of a step's `metrics`, are summed over all processes before.
  void step(ProcessGroup& processes, const std::vector<double>& rates, const at::Tensor& metrics);

  /// Parameters and moments, all groups in one row.
  void save(TrainingState& state) const;
  /// Back again; `steps` have been made of each group.
  void load(const TrainingState& state, const std::vector<int64_t>& steps);

 private:
  std::vector<OptimisedGroup> groups_;
  std::vector<AdamState> adam_;
};

}  // namespace dsrasq::train
