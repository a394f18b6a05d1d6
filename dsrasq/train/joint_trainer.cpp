#include "dsrasq/train/joint_trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/train/adam.h"
#include "dsrasq/train/group_optimiser.h"
#include "dsrasq/train/run_options.h"
#include "dsrasq/train/step_metrics.h"
#include "dsrasq/train/training_loop.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInJointTrainer = "train.joint";
constexpr double kJointBudgetForSteps = 0.95;

}  // namespace

void check_joint_options(const JointTrainOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInJointTrainer, what);
  };
  const auto is_weight = [](double value) { return value >= 0 && std::isfinite(value); };
  check_run_options(o, kInJointTrainer);
  check_policy_gradient_options(o.rl);
  want(o.steps + o.rl.steps >= 1, "--steps or --rl-steps has to be at least 1");
  want(o.steps > 0 || o.time_budget <= 0, "--time-budget is for --steps, which are 0");
  want(o.rl.steps == 0 || o.rl.policy == "budget" || o.top_k > 0,
       "--rl-policy race and bernoulli want --topk of at least 1");
  want(o.block >= 16 && o.block <= 65536, "--block has to be from 16 to 65536");
  want(o.local_share >= 0 && o.local_share <= 1, "--local-share has to be from 0 to 1");
  want(o.top_k >= 0 && o.top_k <= 65536, "--topk has to be from 0 to 65536");
  want(o.horizon == 0 || o.horizon >= o.window, "--horizon has to be 0, or at least --window");
  want(is_weight(o.kl_weight) && is_weight(o.ce_weight) && is_weight(o.retriever_weight) &&
           is_weight(o.answer_weight) && is_weight(o.recall_weight) &&
           o.kl_weight + o.ce_weight > 0,
       "the weights of the loss have to be 0 or more, and --kl-weight or --ce-weight above 0");
  want(is_weight(o.lambda_ret) && is_weight(o.lambda_comp),
       "--lambda-ret and --lambda-comp have to be 0 or more");
  want(o.threshold > 0 && o.threshold < 1, "--threshold has to be between 0 and 1");
  want(o.lora_rank >= 0 && o.lora_rank <= 1024 && o.lora_alpha > 0,
       "--lora-rank has to be from 0 to 1024, --lora-alpha above 0");
  want(o.slots >= 0 && o.slots <= 4096, "--slots has to be from 0 to 4096");
  want(o.slots == 0 || o.pool > 0,
       "--slots want --pool: they speak of what a pool no longer holds, and without one all stays");
  want(o.pool >= 0, "--pool has to be 0 or more");
  want(o.pool_share >= 0 && o.pool_share <= 1, "--pool-share has to be from 0 to 1");
  want(o.slot_mode.empty() || memory::find_slot_mode(o.slot_mode),
       "--slot-mode has to be content, position or rotate");
  want(o.beta == 0 || (o.beta >= memory::kLeastBeta && o.beta <= 1 - memory::kLeastBeta),
       "--beta has to be between 0 and 1, or 0 where it is learned");
  want(is_weight(o.lr_retriever) && is_weight(o.lr_threshold) && is_weight(o.lr_lora) &&
           is_weight(o.lr_slots) && is_weight(o.lr_gates) && is_weight(o.weight_decay),
       "learning rates and --weight-decay have to be 0 or more");
}

void check_joint_options(const JointInput& input, const JointTrainOptions& o) {
  check_joint_options(o);
  check_shares(input.train, o);
  DSRASQ_CHECK(
      o.rl.steps == 0 || o.rl.baseline != "moving-average" || input.train.processes->size() == 1,
      kInvalidArgument, kInJointTrainer,
      "--rl-baseline moving-average follows one stretch after the other: several processes "
      "want leave-one-out");
  DSRASQ_CHECK(!input.adapter || input.adapter->base_fingerprint == input.train.fingerprint,
               kInvalidArgument, kInJointTrainer, "the starting adapter is for another model");
}

namespace {

// By how many there are the trainer tells whose metrics it holds.
static_assert(int64_t{kJointMetrics} != int64_t{kGradientMetrics});
// What TensorBoard shows of each stage, in the order of the metrics.
constexpr std::array<const char*, kJointMetrics> kJointNames{"loss",
                                                             "kl",
                                                             "nll",
                                                             "full_attention_nll",
                                                             "retriever_kl",
                                                             "retrieved",
                                                             "expected_retrieved",
                                                             "answer_nll",
                                                             "answers",
                                                             "recall_nll",
                                                             "recalls"};
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
          {"mean_retrieved", score.picked},
          {"answer_nll", score.answer_nll},
          {"full_attention_answer_nll", score.teacher_answer_nll},
          {"recall_nll", score.recall_nll},
          {"full_attention_recall_nll", score.teacher_recall_nll}};
}

std::vector<OptimisedGroup> optimised(JointParameters& parameters,
                                      const JointTrainOptions& options) {
  std::vector<OptimisedGroup> groups;
  for (ParameterGroup& group : parameters.groups())
    groups.push_back({group.bank.matrix(),
                      group.bank.gradient(),
                      {.clip = options.clip, .weight_decay = group.weight_decay}});
  return groups;
}

// The credits of the policy gradient come from full attention with gradients, which long stretches
// have no room for.
StretchOptions ordinary_length(const TrainInput& input, const JointTrainOptions& options) {
  StretchOptions stretches = stretch_options(input, options);
  stretches.long_share = 0;
  return stretches;
}

class JointTrainer final : private TrainingLoop {
 public:
  using Progress = std::function<void(const JointProgress&)>;

  JointTrainer(const JointInput& input, const JointTrainOptions& options, const TokenCache& cache,
               const Progress& progress)
      : TrainingLoop(input.train, options, run_options(options), cache, kJointBudgetForSteps),
        input_(input),
        options_(options),
        progress_(progress),
        sampler_(cache, input.train.encode, stretch_options(input.train, options)),
        run_(input, options, sampler_),
        gradient_sampler_(cache, input.train.encode, ordinary_length(input.train, options)),
        policy_gradient_(run_, input, options, gradient_sampler_),
        optimiser_(optimised(run_.parameters(), options)),
        metrics_(kInJointTrainer) {
    if (const auto stored = start()) go_on_from(*stored);
  }

  JointResult run();

 private:
  void step(int64_t number) override;
  void settle() override {
    metrics_.settle(steps_done(), first_step(), [this] { return last_checkpoint(); });
  }
  void report() override { report(nullptr); }
  void evaluate() override;
  TrainingState state() const override;
  std::optional<double> measured_step_seconds() override;
  double later_steps() const override {
    return static_cast<double>(options_.rl.steps) * policy_gradient_cost(options_.rl);
  }
  int64_t total_steps() const override { return steps() + options_.rl.steps; }
  // The stages' metrics are not the same ones: those of the first are read before the second.
  bool ends_stage() const override {
    return steps_done() == steps() || steps_done() == total_steps();
  }
  bool evaluation_is_due() const override {
    return (TrainingLoop::evaluation_is_due() || steps_done() == steps()) &&
           steps_done() < total_steps();
  }
  void go_on_from(const TrainingState& stored);
  void report(const JointScore* score);
  nlohmann::json record() const;
  bool is_policy_gradient() const { return options_.rl.steps > 0 && steps_done() >= steps(); }
  // As a share of the peak.
  double rate(int64_t step) const {
    if (options_.rl.steps == 0 || step < steps())
      return learning_rate(step, steps(), options_.warmup, 1);
    return learning_rate(step - steps(), options_.rl.steps, options_.warmup, 1);
  }
  double last_rate() const { return rate(std::max<int64_t>(0, steps_done() - 1)); }
  double metric(int64_t joint, int64_t gradient) const {
    return metrics_.mean(metrics_.means().size() == kJointMetrics ? joint : gradient);
  }
  double tokens_per_s() const {
    return static_cast<double>(run_.tokens_read()) / std::max(1e-9, metrics_.all_seconds());
  }

  const JointInput& input_;
  const JointTrainOptions& options_;
  const Progress& progress_;
  StretchSampler sampler_;
  JointRun run_;
  StretchSampler gradient_sampler_;
  PolicyGradientRun policy_gradient_;
  GroupOptimiser optimiser_;
  StepMetrics metrics_;
  JointScore before_, score_;  // of the first evaluation and of the last
  std::vector<RuleScore> rules_;
};

TrainingState JointTrainer::state() const {
  TrainingState state = common_state();
  state.loss = metrics_.loss();
  state.identity = concat("joint/", input_.train.fingerprint, "/", input_.adapter_fingerprint, "/",
                          data_identity(input_.train, cache()));
  optimiser_.save(state);
  return state;
}

void JointTrainer::go_on_from(const TrainingState& stored) {
  // Steps with gradients for each group, of both stages.
  std::vector<int64_t> steps;
  for (const ParameterGroup& group : run_.parameters().groups())
    steps.push_back(
        (group.learning_rate > 0 ? std::min(stored.step, stored.steps) : 0) +
        (group.rl_learning_rate > 0 ? std::max<int64_t>(0, stored.step - stored.steps) : 0));
  optimiser_.load(stored, steps);
  // At the end of the first stage the next loss is of another one.
  if (stored.step != stored.steps) metrics_.go_on_from(stored.loss);
}

void JointTrainer::step(int64_t number) {
  metrics_.begin_step();
  const bool is_gradient = is_policy_gradient();
  const at::Tensor metrics =
      is_gradient ? policy_gradient_.accumulate(number) : run_.accumulate(number);
  metrics_.add(metrics);
  const double share = rate(number);
  std::vector<double> rates;
  for (const ParameterGroup& group : run_.parameters().groups())
    rates.push_back(share * (is_gradient ? group.rl_learning_rate : group.learning_rate));
  optimiser_.step(processes(), rates, metrics);
}

std::optional<double> JointTrainer::measured_step_seconds() {
  if (is_policy_gradient()) return std::nullopt;
  settle();
  const double steady = metrics_.step_seconds();
  return steady > 0 ? steady : metrics_.all_seconds() / static_cast<double>(steps_done());
}

void JointTrainer::evaluate() {
  score_ = is_policy_gradient() ? policy_gradient_.score() : run_.score();
  log_scalars({{"eval/kl", score_.kl},
               {"eval/perplexity", score_.perplexity},
               {"eval/full_attention_perplexity", score_.teacher_perplexity},
               {"eval/mean_retrieved", score_.picked},
               {"eval/answer_nll", score_.answer_nll},
               {"eval/recall_nll", score_.recall_nll}});
  report(&score_);
}

void JointTrainer::report(const JointScore* score) {
  if (score == nullptr) {
    settle();
    const double picked = metric(kJointPicked, kGradientPicked);
    std::vector<Scalar> scalars{{"attention_flops", run_.attention_flops(picked)},
                                {"learning_rate", last_rate()},
                                {"tokens_per_s", tokens_per_s()}};
    const std::vector<double>& means = metrics_.means();
    const bool is_joint = means.size() == kJointNames.size();
    for (size_t i = 0; i < means.size(); ++i)
      scalars.emplace_back(is_joint ? kJointNames[i] : kGradientNames[i], means[i]);
    log_scalars(scalars);
  }
  if (!progress_ || !processes().is_first()) return;
  progress_(
      {.step = steps_done(),
       .steps = total_steps(),
       .is_policy_gradient = steps_done() > steps(),
       .loss = metric(kJointLoss, kGradientLoss),
       .kl = metric(kJointKl, kGradientKl),
       .picked = metric(kJointPicked, kGradientPicked),
       .learning_rate = last_rate(),
       .tokens_per_s = tokens_per_s(),
       .seconds_left = metrics_.step_seconds() * static_cast<double>(total_steps() - steps_done()),
       .score = score});
}

nlohmann::json JointTrainer::record() const {
  nlohmann::json rules = nlohmann::json::array();
  for (const RuleScore& rule : rules_) {
    rules.push_back(score_json(rule.score));
    rules.back()["rule"] = rule.rule;
  }
  return {{"method", "joint"},
          {"loss", metric(kJointLoss, kGradientLoss)},
          {"before", score_json(before_)},
          {"after", score_json(score_)},
          {"rules", rules},
          {"started_from", record_of(input_.adapter)}};
}

JointResult JointTrainer::run() {
  evaluate();
  before_ = score_;
  run_steps();
  if (options_.rl.steps > 0) rules_ = policy_gradient_.compare();
  if (processes().is_first()) write_adapter(run_.parameters().adapter(), record());
  return {.steps = steps_done(),
          .loss = metric(kJointLoss, kGradientLoss),
          .kl = metric(kJointKl, kGradientKl),
          .tokens_per_s = tokens_per_s(),
          .seconds = seconds(),
          .before = before_,
          .after = score_,
          .rules = rules_,
          .adapter = options_.output};
}

}  // namespace

JointResult train_joint(const JointInput& input, const JointTrainOptions& options,
                        const std::function<void(const JointProgress&)>& progress) {
  check_joint_options(input, options);
  const JointInput ready{with_extra_texts(input.train, options), input.adapter,
                         input.adapter_fingerprint};
  const TokenCache cache(prepare_training_tokens(ready.train, options));
  JointTrainer trainer(ready, options, cache, progress);
  return trainer.run();
}

}  // namespace dsrasq::train
