#pragma once

// The credit of every size of every layer's selection, from one reading with full attention and a
// backward pass for each set of labels (train/size_cost.h).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "dsrasq/train/joint_run.h"
#include "dsrasq/train/probe_policy.h"
#include "dsrasq/train/size_cost.h"

namespace dsrasq::train {

/// Of one layer and R query rows, all with candidates.
struct LayerCosts {
  at::Tensor x;          ///< `[R, E]` the layer's input
  at::Tensor log_share;  ///< `[R, M]` log p of the best candidates, the first the best
  at::Tensor local;      ///< `[R, 1]` log p of what stays local
  at::Tensor n_seen;     ///< `[R]` Long: candidates
  at::Tensor costs;      ///< `[Y, R, M + 1]`: see size_costs
};

class SizeCredit {
 public:
  using Visit = std::function<void(int64_t layer, const LayerCosts& costs)>;

  /// All must outlive it; the retriever and the changes to the weights are those of `run`.
  SizeCredit(const JointRun& run, const JointInput& input, const JointTrainOptions& options);

  /// Calls `visit` for every retriever layer, with rows drawn by `rng`; returns the text's mean
  /// negative log-likelihood, a scalar on the device.
  at::Tensor read(const Stretch& stretch, CounterRng& rng, const Visit& visit);

 private:
  LayerCosts layer_costs(const StudentLayer& parameters, const ProbedLayer& layer,
                         const std::vector<at::Tensor>& gradients, const SampledRows& rows) const;

  const JointRun& run_;
  const JointInput& input_;
  const JointTrainOptions& options_;
  AngleCache angles_;
};

}  // namespace dsrasq::train
