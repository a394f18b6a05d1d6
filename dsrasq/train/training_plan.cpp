// What a run will take, before it starts.

#include "dsrasq/train/plan_probe.h"
#include "dsrasq/train/retriever_run.h"
#include "dsrasq/train/retriever_trainer.h"

namespace dsrasq::train {
namespace {

// Multiplications and additions of the frozen model and its attention over one stretch.
double forward_flops(const checkpoint::ModelConfig& c, double n_tokens) {
  const auto heads = static_cast<double>(c.n_heads * c.head_dim);
  const auto kv = static_cast<double>(c.n_kv_heads * c.head_dim);
  const auto embd = static_cast<double>(c.n_embd), ff = static_cast<double>(c.n_ff);
  const double linears = embd * (2 * heads + 2 * kv) + 3 * embd * ff;
  const double attention = heads * n_tokens;  // q . k and weights . v, half of the square each
  return static_cast<double>(c.n_layers) * n_tokens * 2 * (linears + attention);
}

// The true mass of the sampled rows, and an indexer's forward and backward pass.
double indexer_flops(const TrainInput& input, const RetrieverTrainOptions& o, double n_indexers) {
  const auto& c = input.model.config();
  const auto rows = static_cast<double>(o.rows), n = static_cast<double>(o.length);
  const auto width = static_cast<double>(o.head_dim), embd = static_cast<double>(c.n_embd);
  const double mass = 2 * rows * n * static_cast<double>(c.n_heads * c.head_dim);
  const double scores = 3 * 2 * rows * n * static_cast<double>(o.n_heads) * width;
  const double projections = 2 * 2 * embd * width * (n + rows * static_cast<double>(o.n_heads));
  return n_indexers * (mass + scores + projections);
}

}  // namespace

TrainPlan plan_retriever_training(const TrainInput& input, const RetrieverTrainOptions& options) {
  const auto& config = input.model.config();
  const auto layers = retriever_layers(input.model.shape());
  const IndexerBank bank({config.n_embd, options.n_heads, options.head_dim}, layers, at::kCPU);
  TrainPlan plan;
  plan.n_indexers = static_cast<int64_t>(layers.size());
  plan.n_parameters = bank.matrix().numel();
  plan.adapter_bytes = static_cast<size_t>(plan.n_parameters) * 2;
  plan.checkpoint_bytes = static_cast<size_t>(plan.n_parameters) * 12;
  // Logits and weights of the sampled rows for every head, the indexer's dot products twice.
  plan.step_bytes = static_cast<size_t>(options.rows * longest_length(options)) * sizeof(float) *
                    static_cast<size_t>(3 * config.n_heads + 2 * options.n_heads + 6);
  plan.flops = static_cast<double>(options.batch) *
               (forward_flops(config, mean_length(options)) +
                indexer_flops(input, options, static_cast<double>(plan.n_indexers)));
  const ForwardProbe probe = probe_forward(input.model, options);
  plan.step_seconds = probe.seconds * plan.flops / forward_flops(config, probe.tokens);
  plan.total_seconds = planned_seconds(options, plan.step_seconds);
  return plan;
}

}  // namespace dsrasq::train
