#pragma once

// The steps of the policy gradient (design 4.1, step 2): several random readings of one stretch of
// text, their rewards, and the gradients that follow from them.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/train/joint_run.h"
#include "dsrasq/train/selection_rollout.h"
#include "dsrasq/train/size_credit.h"
#include "dsrasq/train/threshold_fit.h"

namespace dsrasq::train {

/// Of a step, in this order in a tensor on the device; means over readings.
enum PolicyGradientMetric : int64_t {
  kGradientLoss,       ///< its gradient is minus the policy gradient
  kGradientKl,         ///< to the teacher, mean over tokens; of expected credit a prediction
  kGradientNll,        ///< of the text
  kGradientReward,     ///< mean over tokens with candidates
  kGradientAdvantage,  ///< mean size; of expected credit that of the sizes' costs
  kGradientPicked,     ///< |S|, mean over queries and layers
  kGradientExpected,   ///< E|S|, mean over queries with candidates and layers
  kGradientEntropy,    ///< of a choice; of a race, what was drawn says about it
  kGradientMetrics
};

/// What a rule of selection achieves on held-out text.
struct RuleScore {
  std::string rule;
  JointScore score;
};

/// Throws kInvalidArgument naming the option that is out of range.
void check_policy_gradient_options(const PolicyGradientOptions& options);

class PolicyGradientRun {
 public:
  /// All must outlive the run, whose parameters are those of `run`.
  PolicyGradientRun(JointRun& run, const JointInput& input, const JointTrainOptions& options,
                    const StretchSampler& sampler);

  /// As JointRun::accumulate, with `[kGradientMetrics]`.
  at::Tensor accumulate(int64_t step);
  /// Greedy choices on held-out text.
  JointScore score();
  /// The same beside a fixed number of tokens and a threshold on p, both with the same mean |S|;
  /// where asked for also thresholds by layer, which the parameters then keep.
  std::vector<RuleScore> compare();

 private:
  using Rollouts = std::vector<std::unique_ptr<SelectionRollout>>;
  std::unique_ptr<SelectionRollout> rollout(bool samples, uint64_t seed);
  StudentPolicy student(SelectionRollout& rollout);
  StudentPolicy thresholded_student(double log_threshold);
  at::Tensor learn(int64_t step, int64_t index);
  at::Tensor learn_expected(int64_t step, int64_t index);
  /// Adds what a layer's costs say about its head; see learn_expected for the sums `[6]`.
  void learn_sizes(int64_t layer, const LayerCosts& costs, at::Tensor& sums);
  ThresholdFit fit_thresholds();
  at::Tensor advantages(const at::Tensor& rewards);
  /// Backward passes of all layers of all readings; loss, E|S| and entropy `[3]`.
  at::Tensor backward(const Rollouts& rollouts, const RolloutRows& rows,
                      const at::Tensor& advantage);
  RolloutRows rollout_rows(const Stretch& stretch, CounterRng& rng) const;
  int64_t first_row() const { return options_.sinks + options_.window; }
  int64_t fixed_size(double mean_picked) const;
  double matching_threshold(double mean_picked);

  JointRun& run_;
  const JointInput& input_;
  JointTrainOptions options_;
  const StretchSampler& sampler_;
  SelectionKind kind_;
  SizeCredit credit_;
};

}  // namespace dsrasq::train
