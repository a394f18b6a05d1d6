#include "dsrasq/train/retriever_trainer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/train/adam.h"
#include "dsrasq/train/recall_share.h"
#include "dsrasq/train/retriever_run.h"
#include "dsrasq/train/training_loop.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInRetrieverTrainer = "train.retriever";
// Steps that pay for first-time costs, left out when the speed is measured, and the part of the
// budget that evaluations and checkpoints leave.
constexpr int64_t kSlowSteps = 5;
constexpr double kRetrieverBudgetForSteps = 0.93;

}  // namespace

void check_retriever_options(const TrainInput& input, const RetrieverTrainOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInRetrieverTrainer, what);
  };
  check_run_options(o, kInRetrieverTrainer);
  check_shares(input, o);
  want(o.steps >= 1 || !o.init.empty(), "--steps has to be from 1 to 100000000, or 0 with --init");
  want(o.learning_rate > 0 && std::isfinite(o.learning_rate), "--lr has to be above 0");
  want(o.n_heads >= 1 && o.n_heads <= 256 && o.head_dim >= 1 && o.head_dim <= 1024,
       "--index-heads or --index-dim is out of range");
  want(!retriever_layers(input.model.shape()).empty(),
       "every layer of this model has a sliding window: there is nothing to retrieve");
}

namespace {

// The adapter that a run starts from, if any.
std::optional<retriever::Adapter> initial_adapter(const TrainInput& input,
                                                  const RetrieverTrainOptions& options) {
  if (options.init.empty()) return std::nullopt;
  auto adapter = retriever::Adapter::load(options.init);
  DSRASQ_CHECK(adapter.base_fingerprint == input.fingerprint, kBadInput, kInRetrieverTrainer,
               options.init, ": an adapter for another model, ", adapter.base_name);
  DSRASQ_CHECK(adapter.lora.empty() && adapter.slots.empty() && adapter.thresholds.empty() &&
                   adapter.budgets.empty(),
               kBadInput, kInRetrieverTrainer, options.init,
               " was trained jointly; the warm-up would lose all but its indexers");
  DSRASQ_CHECK(adapter.n_heads == options.n_heads && adapter.head_dim == options.head_dim,
               kInvalidArgument, kInRetrieverTrainer, options.init, " has --index-heads ",
               adapter.n_heads, " and --index-dim ", adapter.head_dim,
               ", which a run from it has to have too");
  for (const int64_t layer : retriever_layers(input.model.shape()))
    DSRASQ_CHECK(adapter.indexers.contains(layer), kBadInput, kInRetrieverTrainer, options.init,
                 ": no indexer for layer ", layer);
  return adapter;
}

class RetrieverTrainer final : private TrainingLoop {
 public:
  using Progress = std::function<void(const TrainProgress&)>;

  RetrieverTrainer(const TrainInput& input, const RetrieverTrainOptions& options,
                   const TokenCache& cache, std::optional<retriever::Adapter> init,
                   const Progress& progress)
      : TrainingLoop(input, options, run_options(options), cache, kRetrieverBudgetForSteps),
        input_(input),
        options_(options),
        progress_(progress),
        init_(std::move(init)),
        sampler_(cache, input.encode, stretch_options(input, options)),
        run_(input, options, sampler_),
        adam_(run_.parameters().matrix()) {
    if (const auto stored = start())
      go_on_from(*stored);
    else
      start_from_adapter();
  }

  TrainResult run();

 private:
  void step(int64_t number) override;
  void report() override { report(nullptr); }
  void evaluate() override;
  TrainingState state() const override;
  std::optional<double> measured_step_seconds() override;
  void go_on_from(const TrainingState& stored);
  void start_from_adapter();
  void check_finite(int64_t step, const at::Tensor& losses, const at::Tensor& norms) const;
  void report(const RetrieverScore* score);
  std::map<int64_t, float> measured_recall() const;
  retriever::Adapter adapter() const;
  nlohmann::json record() const;
  double rate(int64_t step) const {
    return learning_rate(step, steps(), options_.warmup, options_.learning_rate);
  }
  double tokens_per_s() const {
    return static_cast<double>(run_.tokens_read()) / std::max(1e-9, step_seconds_);
  }

  const TrainInput& input_;
  const RetrieverTrainOptions& options_;
  const Progress& progress_;
  std::optional<retriever::Adapter> init_;
  StretchSampler sampler_;
  RetrieverRun run_;
  AdamState adam_;
  double step_seconds_ = 0, slow_seconds_ = 0;
  double loss_ = 0;
  at::Tensor losses_;  // of the last step's layers, on the CPU
  RetrieverScore score_;
};

TrainingState RetrieverTrainer::state() const {
  TrainingState state = common_state();
  state.loss = loss_;
  state.identity = concat(input_.fingerprint, "/", data_identity(input_, cache()));
  state.parameters = run_.parameters().matrix();
  state.first = adam_.first;
  state.second = adam_.second;
  return state;
}

void RetrieverTrainer::go_on_from(const TrainingState& stored) {
  run_.parameters().matrix().copy_(stored.parameters);
  adam_.first.copy_(stored.first);
  adam_.second.copy_(stored.second);
  adam_.steps = stored.step;
  loss_ = stored.loss;
}

void RetrieverTrainer::start_from_adapter() {
  if (!init_) return;
  const std::vector<int64_t>& layers = run_.parameters().layers();
  for (size_t i = 0; i < layers.size(); ++i)
    run_.set_indexer(static_cast<int64_t>(i), init_->indexers.at(layers[i]));
}

void RetrieverTrainer::check_finite(int64_t step, const at::Tensor& losses,
                                    const at::Tensor& norms) const {
  const float* loss = losses.const_data_ptr<float>();
  const float* norm = norms.const_data_ptr<float>();
  for (int64_t i = 0; i < losses.size(0); ++i)
    DSRASQ_CHECK(std::isfinite(loss[i]) && std::isfinite(norm[i]), kStopped, kInRetrieverTrainer,
                 "step ", step, ", layer ", run_.parameters().layers()[static_cast<size_t>(i)],
                 ": the loss is ", loss[i], " and the gradient's norm ", norm[i], "; ",
                 last_checkpoint());
}

void RetrieverTrainer::step(int64_t number) {
  const Clock::time_point start = Clock::now();
  const at::Tensor losses = run_.accumulate(number);
  const at::Tensor norms = row_norms(run_.gradient());
  // The one wait for the device in a step.
  const at::Tensor host = at::stack({losses, norms}).to(at::kCPU);
  losses_ = host[0].contiguous();
  check_finite(number, losses_, host[1].contiguous());
  adam_step(run_.parameters().matrix(), run_.gradient(), norms, rate(number),
            {.clip = options_.clip}, adam_);
  const double loss = losses_.mean().item<double>();
  loss_ = number == 0 ? loss : kLossDecay * loss_ + (1 - kLossDecay) * loss;
  step_seconds_ += seconds_since(start);
  if (number + 1 - first_step() == kSlowSteps) slow_seconds_ = step_seconds_;
}

std::optional<double> RetrieverTrainer::measured_step_seconds() {
  const int64_t measured = steps_done() - first_step() - kSlowSteps;
  if (measured < 1) return std::nullopt;
  return (step_seconds_ - slow_seconds_) / static_cast<double>(measured);
}

void RetrieverTrainer::evaluate() {
  score_ = run_.score();
  log_scalars({{"eval/captured_64", score_.captured64},
               {"eval/ideal_64", score_.ideal64},
               {"eval/captured_256", score_.captured256},
               {"eval/ideal_256", score_.ideal256},
               {"eval/recall_64", score_.recall64},
               {"eval/recall_ideal_64", score_.recall_ideal64},
               {"eval/kl", score_.kl}});
  report(&score_);
}

void RetrieverTrainer::report(const RetrieverScore* score) {
  const double last_rate = rate(std::max<int64_t>(0, steps_done() - 1));
  if (score == nullptr) {
    std::vector<Scalar> scalars{
        {"loss", loss_}, {"learning_rate", last_rate}, {"tokens_per_s", tokens_per_s()}};
    for (size_t i = 0; i < run_.parameters().layers().size(); ++i)
      scalars.emplace_back(concat("kl/layer_", run_.parameters().layers()[i]),
                           losses_[static_cast<int64_t>(i)].item<double>());
    log_scalars(scalars);
  }
  if (!progress_ || !processes().is_first()) return;
  const double each =
      step_seconds_ / static_cast<double>(std::max<int64_t>(1, steps_done() - first_step()));
  progress_({.step = steps_done(),
             .steps = steps(),
             .loss = loss_,
             .learning_rate = last_rate,
             .tokens_per_s = tokens_per_s(),
             .seconds_left = each * static_cast<double>(steps() - steps_done()),
             .score = score});
}

nlohmann::json RetrieverTrainer::record() const {
  return {{"method", "kl-warm-up"},
          {"init", record_of(init_ ? &*init_ : nullptr)},
          {"loss", loss_},
          {"captured_64", score_.captured64},
          {"ideal_64", score_.ideal64},
          {"captured_256", score_.captured256},
          {"ideal_256", score_.ideal256},
          {"recall_64", score_.recall64},
          {"recall_ideal_64", score_.recall_ideal64}};
}

std::map<int64_t, float> RetrieverTrainer::measured_recall() const {
  std::vector<RecallStretch> stretches;
  for (int64_t i = 0; i < options_.eval_stretches; ++i)
    stretches.push_back(sampler_.held_out(i, true));
  return recall_shares(input_.model, stretches,
                       {.sinks = options_.sinks, .window = options_.window, .d_max = run_.d_max()},
                       options_.rows);
}

retriever::Adapter RetrieverTrainer::adapter() const {
  retriever::Adapter adapter;
  adapter.n_embd = input_.model.shape().n_embd;
  adapter.n_heads = options_.n_heads;
  adapter.head_dim = options_.head_dim;
  adapter.d_max = run_.d_max();
  const std::vector<int64_t>& layers = run_.parameters().layers();
  for (size_t i = 0; i < layers.size(); ++i)
    adapter.indexers[layers[i]] = run_.indexer_of_layer(static_cast<int64_t>(i));
  adapter.recall = measured_recall();
  return adapter;
}

TrainResult RetrieverTrainer::run() {
  run_steps();
  if (processes().is_first()) write_adapter(adapter(), record());
  return {.steps = steps_done(),
          .loss = loss_,
          .tokens_per_s = tokens_per_s(),
          .seconds = seconds(),
          .score = score_,
          .adapter = options_.output};
}

}  // namespace

TrainResult train_retriever(const TrainInput& input, const RetrieverTrainOptions& options,
                            const std::function<void(const TrainProgress&)>& progress) {
  check_retriever_options(input, options);
  auto init = initial_adapter(input, options);  // may be refused, so before anything is written
  const TrainInput ready = with_extra_texts(input, options);
  const TokenCache cache(prepare_training_tokens(ready, options));
  RetrieverTrainer trainer(ready, options, cache, std::move(init), progress);
  return trainer.run();
}

}  // namespace dsrasq::train
