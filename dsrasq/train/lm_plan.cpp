// What a training from nothing will take, before it starts.

#include <algorithm>

#include "dsrasq/train/lm_model.h"
#include "dsrasq/train/lm_trainer.h"
#include "dsrasq/train/plan_probe.h"

namespace dsrasq::train {
namespace {

constexpr double kLmStepsPerForward = 3;  // going forward and back
// Bytes kept by token and layer for the way back, by unit of each width: norms in fp32, what
// attention and the feed-forward part take and give.
constexpr double kLmKeptPerWidth = 48, kKeptPerFfn = 12;

}  // namespace

LmPlan plan_lm_training(const LmTrainOptions& options, int64_t vocab_size, at::Device device) {
  check_lm_options(options);
  const LmModel model(options, vocab_size, device);
  const checkpoint::ModelConfig& config = model.config();
  LmPlan plan;
  plan.n_parameters = model.count();
  plan.n_embedding = config.vocab_size * config.n_embd * (config.tied_embeddings ? 1 : 2);
  plan.model_bytes = static_cast<size_t>(plan.n_parameters) * (options.dtype == "bf16" ? 2 : 4);
  plan.checkpoint_bytes = static_cast<size_t>(plan.n_parameters) * 12;
  const double all = static_cast<double>(options.batch * options.length);
  const double at_once =
      options.tokens_at_once > 0 ? std::min(all, static_cast<double>(options.tokens_at_once)) : all;
  plan.step_bytes = static_cast<size_t>(at_once * static_cast<double>(config.n_layers) *
                                        (kLmKeptPerWidth * static_cast<double>(config.n_embd) +
                                         kKeptPerFfn * static_cast<double>(config.n_ff)));
  const ForwardProbe probe =
      probe_forward(model.transformer(device.is_cpu() ? at::kFloat : at::kBFloat16), options);
  // The probe makes no logits.
  const auto head = static_cast<double>(config.vocab_size * config.n_embd);
  const auto layers = static_cast<double>(plan.n_parameters - plan.n_embedding);
  plan.step_seconds = probe.seconds * all / probe.tokens * kLmStepsPerForward * (1 + head / layers);
  plan.total_seconds = planned_seconds(options, plan.step_seconds);
  return plan;
}

}  // namespace dsrasq::train
