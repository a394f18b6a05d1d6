// What a joint training will take, before it starts.

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>

#include "dsrasq/train/joint_trainer.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kProbeTokens = 512;
// A student's forward and backward pass, with attention computed again, and the teacher's pass,
// against one forward pass; a random reading against it; and values kept by token, layer and unit
// of width for the backward pass.
constexpr double kStepsPerForward = 5, kReadingPerForward = 2;
constexpr double kKeptPerWidth = 40;

double forward_seconds(const model::Transformer& model, int64_t n_tokens) {
  AngleCache angles(model.device());
  const at::Tensor ids = at::arange(n_tokens, at::kLong).remainder(model.config().vocab_size);
  double best = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    TeacherPolicy policy(model.shape(), {}, {}, angles, nullptr);
    const auto start = std::chrono::steady_clock::now();
    model.forward(ids, policy).sum().to(at::kCPU);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    best = attempt == 0 ? passed.count() : std::min(best, passed.count());
  }
  return best;
}

}  // namespace

JointPlan plan_joint_training(const JointInput& input, const JointTrainOptions& options) {
  const model::Transformer& model = input.train.model;
  const auto& config = model.config();
  const JointParameters parameters({model.shape(), config.n_ff}, input.adapter, options, at::kCPU);
  JointPlan plan;
  plan.n_parameters = parameters.count();
  for (const ParameterGroup& group : parameters.groups()) {
    const bool is_slots = group.name == "slots" || group.name == "gates";
    plan.adapter_bytes += static_cast<size_t>(group.bank.size()) * (is_slots ? 4 : 2);
  }
  plan.checkpoint_bytes = static_cast<size_t>(plan.n_parameters) * 12;
  const double longest =
      static_cast<double>(options.long_share > 0 ? options.long_length : options.length);
  plan.step_bytes = static_cast<size_t>(longest * kKeptPerWidth *
                                        static_cast<double>(config.n_layers * config.n_embd));
  const int64_t probe = std::min(kProbeTokens, options.length);
  const double length = static_cast<double>(options.length) * (1 - options.long_share) +
                        static_cast<double>(options.long_length) * options.long_share;
  const double forward = forward_seconds(model, probe) * length / static_cast<double>(probe) *
                         static_cast<double>(options.batch);
  plan.step_seconds = forward * kStepsPerForward;
  if (options.rl.steps > 0)
    plan.rl_step_seconds =
        forward * (1 + kReadingPerForward * static_cast<double>(options.rl.samples));
  plan.total_seconds = options.time_budget > 0
                           ? options.time_budget
                           : plan.step_seconds * static_cast<double>(options.steps);
  plan.total_seconds += plan.rl_step_seconds * static_cast<double>(options.rl.steps);
  return plan;
}

}  // namespace dsrasq::train
