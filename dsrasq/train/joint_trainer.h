#pragma once

// The joint training (design 4.1, steps 2 to 4): retriever, thresholds, low-rank changes to the
// model's weights and slots learn together to predict what the untouched model predicts with full
// attention; then, where that is asked for, a policy gradient decides what to retrieve.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dsrasq/train/joint_run.h"
#include "dsrasq/train/policy_gradient_run.h"

namespace dsrasq::train {

struct JointProgress {
  int64_t step = 0, steps = 0;
  bool is_policy_gradient = false;  ///< the step's stage
  double loss = 0, kl = 0;          ///< running means
  double picked = 0;
  double learning_rate = 0;  ///< as a share of the peak
  double tokens_per_s = 0;
  double seconds_left = 0;
  const JointScore* score = nullptr;  ///< set after an evaluation
};

struct JointResult {
  int64_t steps = 0;
  double loss = 0, kl = 0;
  double tokens_per_s = 0;
  double seconds = 0;
  JointScore before, after;
  std::vector<RuleScore> rules;  ///< after a policy gradient, beside simpler rules
  std::string adapter;           ///< path
};

/// What a run will take, before it starts.
struct JointPlan {
  int64_t n_parameters = 0;
  size_t adapter_bytes = 0, checkpoint_bytes = 0;
  size_t step_bytes = 0;       ///< memory of a step beside the model, about
  double step_seconds = 0;     ///< measured on a short stretch, scaled to the length
  double rl_step_seconds = 0;  ///< of a step of policy gradient
  double total_seconds = 0;
};
JointPlan plan_joint_training(const JointInput& input, const JointTrainOptions& options);

/// How many joint steps a step of policy gradient takes, about.
double policy_gradient_cost(const PolicyGradientOptions& options);

/// Throws kInvalidArgument for options that are out of range or make no sense together, whatever
/// they are for.
void check_joint_options(const JointTrainOptions& options);
/// And for those that make none with this input.
void check_joint_options(const JointInput& input, const JointTrainOptions& options);

/// Trains and writes the adapter. Throws kStopped naming the step when a loss is no number (the
/// last checkpoint stays), kInterrupted after Ctrl-C (a checkpoint is written first),
/// kInvalidArgument for options that make no sense together.
JointResult train_joint(const JointInput& input, const JointTrainOptions& options,
                        const std::function<void(const JointProgress&)>& progress = nullptr);

}  // namespace dsrasq::train
