// What a joint training will take, before it starts.

#include "dsrasq/train/joint_trainer.h"
#include "dsrasq/train/plan_probe.h"

namespace dsrasq::train {
namespace {

// A student's forward and backward pass, with attention computed again, and the teacher's pass,
// against one forward pass; a random reading against it; and bytes kept by token, layer and unit of
// width for the backward pass (norms and the feed-forward part are computed again).
constexpr double kStepsPerForward = 5, kReadingPerForward = 2;
constexpr double kKeptPerWidth = 26;

}  // namespace

double policy_gradient_cost(const PolicyGradientOptions& options) {
  const int64_t readings = options.credit == "expected" ? options.labels : options.samples;
  return (1 + kReadingPerForward * static_cast<double>(readings)) / kStepsPerForward;
}

JointPlan plan_joint_training(const JointInput& input, const JointTrainOptions& options) {
  const model::Transformer& model = input.train.model;
  const auto& config = model.config();
  const JointParameters parameters({model.shape(), config.n_ff}, input.adapter, options, at::kCPU);
  JointPlan plan;
  plan.n_parameters = parameters.count();
  for (const ParameterGroup& group : parameters.groups()) {
    const bool is_rates = group.name == "gates";  // of slots, the adapter's only fp32
    plan.adapter_bytes += static_cast<size_t>(group.bank.size()) * (is_rates ? 4 : 2);
  }
  plan.checkpoint_bytes = static_cast<size_t>(plan.n_parameters) * 12;
  plan.step_bytes =
      static_cast<size_t>(static_cast<double>(longest_length(options)) * kKeptPerWidth *
                          static_cast<double>(config.n_layers * config.n_embd));
  const ForwardProbe probe = probe_forward(model, options);
  const double forward =
      probe.seconds * mean_length(options) / probe.tokens * static_cast<double>(options.batch);
  plan.step_seconds = forward * kStepsPerForward;
  if (options.rl.steps > 0)
    plan.rl_step_seconds = plan.step_seconds * policy_gradient_cost(options.rl);
  plan.total_seconds = planned_seconds(options, plan.step_seconds);
  if (options.time_budget <= 0)  // which pays for both
    plan.total_seconds += plan.rl_step_seconds * static_cast<double>(options.rl.steps);
  return plan;
}

}  // namespace dsrasq::train
