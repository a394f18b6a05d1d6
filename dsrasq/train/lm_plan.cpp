// What a training from nothing will take, before it starts.

#include <ATen/core/grad_mode.h>

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
constexpr double kKeptValue = 2;  // bytes, in bf16

// On top of the decoder's: the encoder's layers, the retrieved keys and values, and what each upper
// layer reads of every retrieved chunk.
double gca_kept_per_token(const GcaConfig& config) {
  const auto width = static_cast<double>(config.decoder.n_embd);
  const double layers =
      static_cast<double>(config.encoder_layers) *
      (kLmKeptPerWidth * width + kKeptPerFfn * static_cast<double>(config.decoder.n_ff));
  const auto n_upper = static_cast<double>(config.decoder.n_layers - config.lower_layers);
  return layers + static_cast<double>(config.top_k) * (2 + n_upper) * kKeptValue * width;
}

ForwardProbe probe_lm(const LmModel& model, const LmTrainOptions& options, at::Device device) {
  const auto dtype = device.is_cpu() ? at::kFloat : at::kBFloat16;
  if (!options.is_gca()) return probe_forward(model.transformer(dtype), options);
  const at::NoGradGuard no_grad;
  AngleCache angles(device);
  const GcaModel gca = model.gca(dtype, angles);
  return probe_forward(
      [&](const at::Tensor& ids) { return gca.states(ids.unsqueeze(0).to(device)); },
      model.config().vocab_size, options);
}

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
  if (options.is_gca())
    plan.step_bytes += static_cast<size_t>(at_once * gca_kept_per_token(*model.gca_config()));
  const ForwardProbe probe = probe_lm(model, options, device);
  // The probe makes no logits.
  const auto head = static_cast<double>(config.vocab_size * config.n_embd);
  const auto layers = static_cast<double>(plan.n_parameters - plan.n_embedding);
  plan.step_seconds = probe.seconds * all / probe.tokens * kLmStepsPerForward * (1 + head / layers);
  plan.total_seconds = planned_seconds(options, plan.step_seconds);
  return plan;
}

}  // namespace dsrasq::train
