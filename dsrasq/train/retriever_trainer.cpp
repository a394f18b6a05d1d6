#include "dsrasq/train/retriever_trainer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/core/log.h"
#include "dsrasq/core/process.h"
#include "dsrasq/train/adam.h"
#include "dsrasq/train/event_log.h"
#include "dsrasq/train/recall_share.h"
#include "dsrasq/train/retriever_run.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kWhere = "train.retriever";
constexpr int64_t kReportEvery = 10;
constexpr double kLossDecay = 0.98;
// Steps that pay for first-time costs, left out when the speed is measured, and the part of the
// budget that evaluations and checkpoints leave.
constexpr int64_t kSlowSteps = 5;
constexpr double kBudgetForSteps = 0.93;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_options(const TrainInput& input, const RetrieverTrainOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kWhere, what);
  };
  check_run_options(o, kWhere);
  want(o.steps >= 1 || !o.init.empty(), "--steps has to be from 1 to 100000000, or 0 with --init");
  want(o.learning_rate > 0 && std::isfinite(o.learning_rate), "--lr has to be above 0");
  want(o.n_heads >= 1 && o.n_heads <= 256 && o.head_dim >= 1 && o.head_dim <= 1024,
       "--index-heads or --index-dim is out of range");
  want(!retriever_layers(input.model.shape()).empty(),
       "every layer of this model has a sliding window: there is nothing to retrieve");
}

std::string identity(const TrainInput& input, const TokenCache& cache) {
  return concat(input.fingerprint, "/", cache.vocabulary(), "/", cache.source());
}

// The adapter that a run starts from, if any.
std::optional<retriever::Adapter> initial_adapter(const TrainInput& input,
                                                  const RetrieverTrainOptions& options) {
  if (options.init.empty()) return std::nullopt;
  auto adapter = retriever::Adapter::load(options.init);
  DSRASQ_CHECK(adapter.base_fingerprint == input.fingerprint, kBadInput, kWhere, options.init,
               ": an adapter for another model, ", adapter.base_name);
  DSRASQ_CHECK(adapter.lora.empty() && adapter.slots.empty() && adapter.thresholds.empty() &&
                   adapter.budgets.empty(),
               kBadInput, kWhere, options.init,
               " was trained jointly; the warm-up would lose all but its indexers");
  DSRASQ_CHECK(adapter.n_heads == options.n_heads && adapter.head_dim == options.head_dim,
               kInvalidArgument, kWhere, options.init, " has --index-heads ", adapter.n_heads,
               " and --index-dim ", adapter.head_dim, ", which a run from it has to have too");
  for (const int64_t layer : retriever_layers(input.model.shape()))
    DSRASQ_CHECK(adapter.indexers.contains(layer), kBadInput, kWhere, options.init,
                 ": no indexer for layer ", layer);
  return adapter;
}

// Runs the steps, from wherever the last checkpoint left them.
class Trainer {
 public:
  using Progress = std::function<void(const TrainProgress&)>;

  Trainer(const TrainInput& input, const RetrieverTrainOptions& options, const TokenCache& cache,
          const Progress& progress)
      : input_(input),
        options_(options),
        progress_(progress),
        cache_(cache),
        init_(initial_adapter(input, options)),
        sampler_(cache, input.encode, stretch_options(input, options)),
        run_(input, options, sampler_),
        adam_(run_.parameters().matrix()),
        checkpoints_(run_folder(options)),
        log_(run_folder(options)) {
    if (!options.resume || !resume()) start_from_adapter();
  }

  TrainResult run();

 private:
  bool resume();
  void start_from_adapter();
  TrainingState state() const;
  void save_checkpoint();
  void stop_if_asked();
  void step();
  void check_finite(const at::Tensor& losses, const at::Tensor& norms) const;
  void fix_steps_by_budget();
  void evaluate();
  void report(const RetrieverScore* score);
  std::map<int64_t, float> measured_recall() const;
  void write_adapter() const;
  std::string record() const;
  double seconds() const { return seconds_before_ + seconds_since(start_); }
  double tokens_per_s() const {
    return static_cast<double>(run_.tokens_read()) / std::max(1e-9, step_seconds_);
  }

  const TrainInput& input_;
  RetrieverTrainOptions options_;
  const Progress& progress_;
  const TokenCache& cache_;
  std::optional<retriever::Adapter> init_;
  StretchSampler sampler_;
  RetrieverRun run_;
  AdamState adam_;
  CheckpointFolder checkpoints_;
  EventLog log_;
  Clock::time_point start_ = Clock::now(), last_checkpoint_ = Clock::now();
  double seconds_before_ = 0, step_seconds_ = 0, slow_seconds_ = 0;
  int64_t step_ = 0, first_step_ = 0, saved_step_ = -1;
  double loss_ = 0;
  at::Tensor losses_;  // of the last step's layers, on the CPU
  RetrieverScore score_;
};

TrainingState Trainer::state() const {
  return {.step = step_,
          .steps = options_.steps,
          .seconds = seconds(),
          .loss = loss_,
          .identity = identity(input_, cache_),
          .options = run_options(options_),
          .parameters = run_.parameters().matrix(),
          .first = adam_.first,
          .second = adam_.second};
}

bool Trainer::resume() {
  const auto stored = checkpoints_.load();
  if (!stored) return false;
  check_same_run(*stored, state(), checkpoints_.path());
  run_.parameters().matrix().copy_(stored->parameters);
  adam_.first.copy_(stored->first);
  adam_.second.copy_(stored->second);
  adam_.steps = step_ = first_step_ = saved_step_ = stored->step;
  options_.steps = stored->steps;
  seconds_before_ = stored->seconds;
  loss_ = stored->loss;
  log(LogLevel::kInfo, concat("goes on from step ", step_, " of ", options_.steps));
  return true;
}

void Trainer::start_from_adapter() {
  if (!init_) return;
  const std::vector<int64_t>& layers = run_.parameters().layers();
  for (size_t i = 0; i < layers.size(); ++i)
    run_.set_indexer(static_cast<int64_t>(i), init_->indexers.at(layers[i]));
}

void Trainer::save_checkpoint() {
  if (saved_step_ == step_) return;
  checkpoints_.save(state());
  saved_step_ = step_;
  last_checkpoint_ = Clock::now();
}

void Trainer::stop_if_asked() {
  if (!interrupted()) return;
  save_checkpoint();
  log(LogLevel::kInfo, concat("stopped at step ", step_, "; the same command goes on from there"));
  check_interrupt();
}

void Trainer::check_finite(const at::Tensor& losses, const at::Tensor& norms) const {
  const float* loss = losses.const_data_ptr<float>();
  const float* norm = norms.const_data_ptr<float>();
  for (int64_t i = 0; i < losses.size(0); ++i)
    DSRASQ_CHECK(std::isfinite(loss[i]) && std::isfinite(norm[i]), kStopped, kWhere, "step ", step_,
                 ", layer ", run_.parameters().layers()[static_cast<size_t>(i)], ": the loss is ",
                 loss[i], " and the gradient's norm ", norm[i], "; the last checkpoint in ",
                 checkpoints_.path().string(), " is of step ", std::max<int64_t>(0, saved_step_));
}

void Trainer::step() {
  const Clock::time_point start = Clock::now();
  const at::Tensor losses = run_.accumulate(step_);
  const at::Tensor norms = row_norms(run_.gradient());
  // The one wait for the device in a step.
  const at::Tensor host = at::stack({losses, norms}).to(at::kCPU);
  losses_ = host[0].contiguous();
  check_finite(losses_, host[1].contiguous());
  adam_step(run_.parameters().matrix(), run_.gradient(), norms,
            learning_rate(step_, options_.steps, options_.warmup, options_.learning_rate),
            {.clip = options_.clip}, adam_);
  const double loss = losses_.mean().item<double>();
  loss_ = step_ == 0 ? loss : kLossDecay * loss_ + (1 - kLossDecay) * loss;
  ++step_;
  step_seconds_ += seconds_since(start);
  if (step_ - first_step_ == kSlowSteps) slow_seconds_ = step_seconds_;
}

// Until the warm-up ends, the learning rate does not depend on the number of steps.
void Trainer::fix_steps_by_budget() {
  if (options_.time_budget <= 0 || step_ != options_.warmup) return;
  const int64_t measured = step_ - first_step_ - kSlowSteps;
  if (measured < 1) return;
  const double each = (step_seconds_ - slow_seconds_) / static_cast<double>(measured);
  const double left = (options_.time_budget - seconds()) * kBudgetForSteps;
  options_.steps = step_ + std::max<int64_t>(1, static_cast<int64_t>(left / each));
  log(LogLevel::kInfo, concat(options_.steps, " steps fit into ", options_.time_budget, " s"));
}

void Trainer::evaluate() {
  score_ = run_.score();
  log_.add(step_, {{"eval/captured_64", score_.captured64},
                   {"eval/ideal_64", score_.ideal64},
                   {"eval/captured_256", score_.captured256},
                   {"eval/ideal_256", score_.ideal256},
                   {"eval/recall_64", score_.recall64},
                   {"eval/recall_ideal_64", score_.recall_ideal64},
                   {"eval/kl", score_.kl}});
  report(&score_);
}

void Trainer::report(const RetrieverScore* score) {
  const double rate = learning_rate(std::max<int64_t>(0, step_ - 1), options_.steps,
                                    options_.warmup, options_.learning_rate);
  if (score == nullptr) {
    std::vector<Scalar> scalars{
        {"loss", loss_}, {"learning_rate", rate}, {"tokens_per_s", tokens_per_s()}};
    for (size_t i = 0; i < run_.parameters().layers().size(); ++i)
      scalars.emplace_back(concat("kl/layer_", run_.parameters().layers()[i]),
                           losses_[static_cast<int64_t>(i)].item<double>());
    log_.add(step_, scalars);
  }
  if (!progress_) return;
  const double each =
      step_seconds_ / static_cast<double>(std::max<int64_t>(1, step_ - first_step_));
  progress_({.step = step_,
             .steps = options_.steps,
             .loss = loss_,
             .learning_rate = rate,
             .tokens_per_s = tokens_per_s(),
             .seconds_left = each * static_cast<double>(options_.steps - step_),
             .score = score});
}

std::string Trainer::record() const {
  nlohmann::json options;
  for (const auto& [name, value] : run_options(options_)) options[name] = value;
  nlohmann::json init;
  if (init_) init = nlohmann::json::parse(init_->record, nullptr, false);
  return nlohmann::json{{"method", "kl-warm-up"},
                        {"init", init.is_discarded() ? nlohmann::json() : init},
                        {"steps", step_},
                        {"seconds", seconds()},
                        {"loss", loss_},
                        {"device", input_.model.device().str()},
                        {"source", cache_.source()},
                        {"options", options},
                        {"captured_64", score_.captured64},
                        {"ideal_64", score_.ideal64},
                        {"captured_256", score_.captured256},
                        {"ideal_256", score_.ideal256},
                        {"recall_64", score_.recall64},
                        {"recall_ideal_64", score_.recall_ideal64}}
      .dump();
}

std::map<int64_t, float> Trainer::measured_recall() const {
  std::vector<RecallStretch> stretches;
  for (int64_t i = 0; i < options_.eval_stretches; ++i)
    stretches.push_back(sampler_.held_out(i, true));
  return recall_shares(input_.model, stretches,
                       {.sinks = options_.sinks, .window = options_.window, .d_max = run_.d_max()},
                       options_.rows);
}

void Trainer::write_adapter() const {
  const policy::AttentionShape& shape = input_.model.shape();
  retriever::Adapter adapter{.base_fingerprint = input_.fingerprint,
                             .base_name = input_.name,
                             .n_embd = shape.n_embd,
                             .n_heads = options_.n_heads,
                             .head_dim = options_.head_dim,
                             .d_max = run_.d_max(),
                             .indexers = {},
                             .record = record()};
  const std::vector<int64_t>& layers = run_.parameters().layers();
  for (size_t i = 0; i < layers.size(); ++i)
    adapter.indexers[layers[i]] = run_.indexer_of_layer(static_cast<int64_t>(i));
  adapter.recall = measured_recall();
  const fs::path path(options_.output);
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  adapter.save(path);
}

TrainResult Trainer::run() {
  int64_t evaluated = -1;
  while (step_ < options_.steps) {
    stop_if_asked();
    step();
    fix_steps_by_budget();
    if (step_ % kReportEvery == 0 || step_ == options_.steps) report(nullptr);
    if (options_.eval_every > 0 && step_ % options_.eval_every == 0) {
      evaluate();
      evaluated = step_;
    }
    if (step_ % options_.checkpoint_every == 0 ||
        seconds_since(last_checkpoint_) > options_.checkpoint_seconds)
      save_checkpoint();
  }
  save_checkpoint();
  if (evaluated != step_) evaluate();
  write_adapter();
  return {.steps = step_,
          .loss = loss_,
          .tokens_per_s = tokens_per_s(),
          .seconds = seconds(),
          .score = score_,
          .adapter = options_.output};
}

}  // namespace

TrainResult train_retriever(const TrainInput& input, const RetrieverTrainOptions& options,
                            const std::function<void(const TrainProgress&)>& progress) {
  check_options(input, options);
  const TokenCache cache(prepare_training_tokens(input, options));
  Trainer trainer(input, options, cache, progress);
  return trainer.run();
}

}  // namespace dsrasq::train
