#include "dsrasq/train/joint_trainer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/core/log.h"
#include "dsrasq/core/process.h"
#include "dsrasq/train/adam.h"
#include "dsrasq/train/event_log.h"
#include "dsrasq/train/run_options.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kWhere = "train.joint";
// Steps whose metrics are read from the device together: the only wait for it.
constexpr int64_t kReportEvery = 10;
constexpr double kLossDecay = 0.98;
constexpr double kBudgetForSteps = 0.95;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_options(const JointInput& input, const JointTrainOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kWhere, what);
  };
  const auto is_weight = [](double value) { return value >= 0 && std::isfinite(value); };
  check_run_options(o, kWhere);
  check_policy_gradient_options(o.rl);
  want(o.steps + o.rl.steps >= 1, "--steps or --rl-steps has to be at least 1");
  want(o.steps > 0 || o.time_budget <= 0, "--time-budget is for --steps, which are 0");
  want(o.rl.steps == 0 || o.rl.policy == "budget" || o.top_k > 0,
       "--rl-policy race and bernoulli want --topk of at least 1");
  want(o.block >= 16 && o.block <= 65536, "--block has to be from 16 to 65536");
  want(o.local_share >= 0 && o.local_share <= 1, "--local-share has to be from 0 to 1");
  want(o.top_k >= 0 && o.top_k <= 65536, "--topk has to be from 0 to 65536");
  want(is_weight(o.kl_weight) && is_weight(o.ce_weight) && is_weight(o.retriever_weight) &&
           o.kl_weight + o.ce_weight > 0,
       "the weights of the loss have to be 0 or more, and --kl-weight or --ce-weight above 0");
  want(is_weight(o.lambda_ret) && is_weight(o.lambda_comp),
       "--lambda-ret and --lambda-comp have to be 0 or more");
  want(o.threshold > 0 && o.threshold < 1, "--threshold has to be between 0 and 1");
  want(o.lora_rank >= 0 && o.lora_rank <= 1024 && o.lora_alpha > 0,
       "--lora-rank has to be from 0 to 1024, --lora-alpha above 0");
  want(o.slots >= 0 && o.slots <= 4096, "--slots has to be from 0 to 4096");
  want(is_weight(o.lr_retriever) && is_weight(o.lr_threshold) && is_weight(o.lr_lora) &&
           is_weight(o.lr_slots) && is_weight(o.lr_gates) && is_weight(o.weight_decay),
       "learning rates and --weight-decay have to be 0 or more");
  want(!input.adapter || input.adapter->base_fingerprint == input.train.fingerprint,
       "the starting adapter is for another model");
}

// By how many there are the trainer tells whose metrics it holds.
static_assert(int64_t{kJointMetrics} != int64_t{kGradientMetrics});
// What TensorBoard shows of each stage, in the order of the metrics.
constexpr std::array<const char*, kJointMetrics> kJointNames{
    "loss", "kl", "nll", "full_attention_nll", "retriever_kl", "retrieved", "expected_retrieved"};
constexpr std::array<const char*, kGradientMetrics> kGradientNames{"rl/loss",
                                                                   "rl/kl",
                                                                   "rl/nll",
                                                                   "rl/reward",
                                                                   "rl/advantage",
                                                                   "rl/retrieved",
                                                                   "rl/expected_retrieved",
                                                                   "rl/entropy"};

nlohmann::json score_json(const JointScore& score) {
  return {{"kl", score.kl},
          {"perplexity", score.perplexity},
          {"full_attention_perplexity", score.teacher_perplexity},
          {"mean_retrieved", score.picked}};
}

// Runs the steps, from wherever the last checkpoint left them.
class Trainer {
 public:
  using Progress = std::function<void(const JointProgress&)>;

  Trainer(const JointInput& input, const JointTrainOptions& options, const TokenCache& cache,
          const Progress& progress)
      : input_(input),
        options_(options),
        progress_(progress),
        cache_(cache),
        sampler_(cache, input.train.encode, stretch_options(input.train, options)),
        run_(input, options, sampler_),
        policy_gradient_(run_, input, options, sampler_),
        checkpoints_(run_folder(options)),
        log_(run_folder(options)) {
    for (ParameterGroup& group : run_.parameters().groups())
      adam_.emplace_back(group.bank.matrix());
    if (options.resume) resume();
  }

  JointResult run();

 private:
  void resume();
  TrainingState state() const;
  void save_checkpoint();
  void stop_if_asked();
  void step();
  void read_metrics();
  void fix_steps_by_budget();
  JointScore evaluate();
  void report(const JointScore* score);
  void write_adapter() const;
  std::string record() const;
  int64_t total_steps() const { return options_.steps + options_.rl.steps; }
  bool is_policy_gradient() const { return options_.rl.steps > 0 && step_ >= options_.steps; }
  // Of the last step, as a share of the peak.
  double rate() const {
    const int64_t last = std::max<int64_t>(0, step_ - 1);
    if (options_.rl.steps == 0 || last < options_.steps)
      return learning_rate(last, options_.steps, options_.warmup, 1);
    return learning_rate(last - options_.steps, options_.rl.steps, options_.warmup, 1);
  }
  double metric(int64_t joint, int64_t gradient) const {
    if (metrics_.empty()) return 0;
    return metrics_[static_cast<size_t>(metrics_.size() == kJointMetrics ? joint : gradient)];
  }
  double seconds() const { return seconds_before_ + seconds_since(start_); }
  double step_seconds() const { return measured_ == 0 ? 0 : measured_seconds_ / measured_; }
  double tokens_per_s() const {
    return static_cast<double>(run_.tokens_read()) / std::max(1e-9, all_step_seconds_);
  }

  const JointInput& input_;
  JointTrainOptions options_;
  const Progress& progress_;
  const TokenCache& cache_;
  StretchSampler sampler_;
  JointRun run_;
  PolicyGradientRun policy_gradient_;
  std::vector<AdamState> adam_;
  CheckpointFolder checkpoints_;
  EventLog log_;
  Clock::time_point start_ = Clock::now(), last_checkpoint_ = Clock::now(), last_read_;
  double seconds_before_ = 0, all_step_seconds_ = 0, measured_seconds_ = 0;
  double measured_ = 0;  // steps in measured_seconds_, without the first ones
  int64_t step_ = 0, first_step_ = 0, saved_step_ = -1;
  std::vector<at::Tensor> waiting_;    // metrics of steps not read from the device yet
  std::vector<double> metrics_;        // running means
  std::optional<double> stored_loss_;  // of the checkpoint that the run goes on from
  JointScore before_, after_;
  std::vector<RuleScore> rules_;
};

TrainingState Trainer::state() const {
  std::vector<at::Tensor> parameters, first, second;
  for (size_t i = 0; i < adam_.size(); ++i) {
    parameters.push_back(run_.parameters().groups()[i].bank.matrix());
    first.push_back(adam_[i].first);
    second.push_back(adam_[i].second);
  }
  return {.step = step_,
          .steps = options_.steps,
          .seconds = seconds(),
          .loss = metrics_.empty() ? stored_loss_.value_or(0) : metrics_[0],
          .identity = concat("joint/", input_.train.fingerprint, "/", input_.adapter_fingerprint,
                             "/", cache_.vocabulary(), "/", cache_.source()),
          .options = run_options(options_),
          .parameters = at::cat(parameters, 1),
          .first = at::cat(first, 1),
          .second = at::cat(second, 1)};
}

void Trainer::resume() {
  const auto stored = checkpoints_.load();
  if (!stored) return;
  check_same_run(*stored, state(), checkpoints_.path());
  int64_t first = 0;
  for (size_t i = 0; i < adam_.size(); ++i) {
    ParameterBank& bank = run_.parameters().groups()[i].bank;
    const auto part = [&](const at::Tensor& all) { return all.narrow(1, first, bank.size()); };
    bank.matrix().copy_(part(stored->parameters));
    adam_[i].first.copy_(part(stored->first));
    adam_[i].second.copy_(part(stored->second));
    // Steps with gradients for the group, of both stages.
    const ParameterGroup& group = run_.parameters().groups()[i];
    adam_[i].steps =
        (group.learning_rate > 0 ? std::min(stored->step, stored->steps) : 0) +
        (group.rl_learning_rate > 0 ? std::max<int64_t>(0, stored->step - stored->steps) : 0);
    first += bank.size();
  }
  step_ = first_step_ = saved_step_ = stored->step;
  options_.steps = stored->steps;
  seconds_before_ = stored->seconds;
  if (step_ != options_.steps)
    stored_loss_ = stored->loss;  // else the next one is of another stage
  log(LogLevel::kInfo, concat("goes on from step ", step_, " of ", total_steps()));
}

void Trainer::save_checkpoint() {
  if (saved_step_ == step_) return;
  read_metrics();  // a step that went wrong is never kept
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

void Trainer::step() {
  if (waiting_.empty()) last_read_ = Clock::now();
  const bool is_gradient = is_policy_gradient();
  waiting_.push_back(is_gradient ? policy_gradient_.accumulate(step_) : run_.accumulate(step_));
  ++step_;
  auto& groups = run_.parameters().groups();
  for (size_t i = 0; i < groups.size(); ++i) {
    const double peak = is_gradient ? groups[i].rl_learning_rate : groups[i].learning_rate;
    if (peak <= 0 || groups[i].bank.size() == 0) continue;
    const at::Tensor norms = row_norms(groups[i].bank.gradient());
    adam_step(groups[i].bank.matrix(), groups[i].bank.gradient(), norms, peak * rate(),
              {.clip = options_.clip, .weight_decay = groups[i].weight_decay}, adam_[i]);
  }
}

// Waits for the device. Every step's loss is looked at, so the first bad one is named.
void Trainer::read_metrics() {
  if (waiting_.empty()) return;
  const at::Tensor host = at::stack(waiting_).to(at::kCPU).contiguous();
  const auto n = static_cast<int64_t>(waiting_.size());
  const int64_t n_metrics = host.size(1);
  if (metrics_.size() != static_cast<size_t>(n_metrics)) {  // of another stage
    metrics_.clear();
    measured_ = measured_seconds_ = 0;
  }
  const float* values = host.const_data_ptr<float>();
  for (int64_t i = 0; i < n; ++i, values += n_metrics) {
    DSRASQ_CHECK(std::isfinite(values[kJointLoss]), kStopped, kWhere, "step ", step_ - n + i,
                 ": the loss is ", values[kJointLoss], "; the last checkpoint in ",
                 checkpoints_.path().string(), " is of step ", std::max<int64_t>(0, saved_step_));
    if (metrics_.empty()) {
      metrics_.assign(values, values + n_metrics);
      if (stored_loss_) metrics_[0] = *std::exchange(stored_loss_, std::nullopt);
    }
    for (int64_t m = 0; m < n_metrics; ++m)
      metrics_[static_cast<size_t>(m)] +=
          (1 - kLossDecay) * (values[m] - metrics_[static_cast<size_t>(m)]);
  }
  waiting_.clear();
  const double seconds = seconds_since(last_read_);
  all_step_seconds_ += seconds;
  if (step_ - n > first_step_) measured_seconds_ += seconds, measured_ += static_cast<double>(n);
}

// Until the warm-up ends, the learning rate does not depend on the number of steps.
void Trainer::fix_steps_by_budget() {
  if (options_.time_budget <= 0 || step_ != options_.warmup || is_policy_gradient()) return;
  read_metrics();
  const double each =
      measured_ > 0 ? step_seconds() : all_step_seconds_ / static_cast<double>(step_);
  const double left = (options_.time_budget - seconds()) * kBudgetForSteps;
  options_.steps = step_ + std::max<int64_t>(1, static_cast<int64_t>(left / each));
  log(LogLevel::kInfo, concat(options_.steps, " steps fit into ", options_.time_budget, " s"));
}

JointScore Trainer::evaluate() {
  const JointScore score = is_policy_gradient() ? policy_gradient_.score() : run_.score();
  log_.add(step_, {{"eval/kl", score.kl},
                   {"eval/perplexity", score.perplexity},
                   {"eval/full_attention_perplexity", score.teacher_perplexity},
                   {"eval/mean_retrieved", score.picked}});
  report(&score);
  return score;
}

void Trainer::report(const JointScore* score) {
  if (score == nullptr) {
    read_metrics();
    const double picked = metric(kJointPicked, kGradientPicked);
    std::vector<Scalar> scalars{{"attention_flops", run_.attention_flops(picked)},
                                {"learning_rate", rate()},
                                {"tokens_per_s", tokens_per_s()}};
    const bool is_joint = metrics_.size() == kJointNames.size();
    for (size_t i = 0; i < metrics_.size(); ++i)
      scalars.emplace_back(is_joint ? kJointNames[i] : kGradientNames[i], metrics_[i]);
    log_.add(step_, scalars);
  }
  if (!progress_) return;
  progress_({.step = step_,
             .steps = total_steps(),
             .loss = metric(kJointLoss, kGradientLoss),
             .kl = metric(kJointKl, kGradientKl),
             .picked = metric(kJointPicked, kGradientPicked),
             .learning_rate = rate(),
             .tokens_per_s = tokens_per_s(),
             .seconds_left = step_seconds() * static_cast<double>(total_steps() - step_),
             .score = score});
}

std::string Trainer::record() const {
  nlohmann::json options;
  for (const auto& [name, value] : run_options(options_)) options[name] = value;
  nlohmann::json started;
  if (input_.adapter) started = nlohmann::json::parse(input_.adapter->record, nullptr, false);
  nlohmann::json rules = nlohmann::json::array();
  for (const RuleScore& rule : rules_) {
    rules.push_back(score_json(rule.score));
    rules.back()["rule"] = rule.rule;
  }
  return nlohmann::json{{"method", "joint"},
                        {"steps", step_},
                        {"seconds", seconds()},
                        {"loss", metric(kJointLoss, kGradientLoss)},
                        {"device", input_.train.model.device().str()},
                        {"source", cache_.source()},
                        {"options", options},
                        {"before", score_json(before_)},
                        {"after", score_json(after_)},
                        {"rules", rules},
                        {"started_from", started.is_discarded() ? nlohmann::json() : started}}
      .dump();
}

void Trainer::write_adapter() const {
  retriever::Adapter adapter = run_.parameters().adapter();
  adapter.base_fingerprint = input_.train.fingerprint;
  adapter.base_name = input_.train.name;
  adapter.record = record();
  const fs::path path(options_.output);
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  adapter.save(path);
}

JointResult Trainer::run() {
  before_ = evaluate();
  int64_t evaluated = -1;
  while (step_ < total_steps()) {
    stop_if_asked();
    step();
    fix_steps_by_budget();
    // The stages' metrics are not the same ones: those of the first are read before the second.
    const bool ends_stage = step_ == options_.steps || step_ == total_steps();
    if (step_ % kReportEvery == 0 || ends_stage) report(nullptr);
    const bool is_due = options_.eval_every > 0 && step_ % options_.eval_every == 0;
    if ((is_due || step_ == options_.steps) && step_ < total_steps()) {
      read_metrics();
      after_ = evaluate();
      evaluated = step_;
    }
    if (step_ % options_.checkpoint_every == 0 ||
        seconds_since(last_checkpoint_) > options_.checkpoint_seconds)
      save_checkpoint();
  }
  save_checkpoint();
  if (evaluated != step_) after_ = evaluate();
  if (options_.rl.steps > 0) rules_ = policy_gradient_.compare();
  write_adapter();
  return {.steps = step_,
          .loss = metric(kJointLoss, kGradientLoss),
          .kl = metric(kJointKl, kGradientKl),
          .tokens_per_s = tokens_per_s(),
          .seconds = seconds(),
          .before = before_,
          .after = after_,
          .rules = rules_,
          .adapter = options_.output};
}

}  // namespace

JointResult train_joint(const JointInput& input, const JointTrainOptions& options,
                        const std::function<void(const JointProgress&)>& progress) {
  check_options(input, options);
  const TokenCache cache(prepare_training_tokens(input.train, options));
  Trainer trainer(input, options, cache, progress);
  return trainer.run();
}

}  // namespace dsrasq::train
