#include "dsrasq/train/policy_gradient_run.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "dsrasq/core/error.h"
#include "dsrasq/model/token_score.h"
#include "dsrasq/retriever/budget_head.h"
#include "dsrasq/train/retriever_run.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInPolicyGradientRun = "train.policy_gradient";
constexpr uint64_t kRolloutStream = 910000, kThresholdStream = 5, kFitStream = 6;
constexpr int64_t kFitStep = int64_t{1} << 40;  // of stretches that no training step reads
constexpr double kLeastThreshold = -30;
constexpr int kThresholdSteps = 12;  // of a bisection, down to 0.007 in log p

SelectionKind kind_of(const std::string& policy) {
  if (policy == "budget") return SelectionKind::kBudget;
  return policy == "race" ? SelectionKind::kRace : SelectionKind::kBernoulli;
}

}  // namespace

void check_policy_gradient_options(const PolicyGradientOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInPolicyGradientRun, what);
  };
  const bool leaves_out = o.baseline == "leave-one-out";
  want(o.steps >= 0 && o.steps <= 100'000'000, "--rl-steps has to be from 0 to 100000000");
  want(o.policy == "budget" || o.policy == "race" || o.policy == "bernoulli",
       "--rl-policy has to be budget, race or bernoulli");
  want(leaves_out || o.baseline == "moving-average",
       "--rl-baseline has to be leave-one-out or moving-average");
  want(o.reward == "kl" || o.reward == "log-prob", "--rl-reward has to be kl or log-prob");
  want(o.credit == "sampled" || o.credit == "expected",
       "--rl-credit has to be sampled or expected");
  want(o.credit == "sampled" || o.policy == "budget",
       "--rl-credit expected is for --rl-policy budget");
  want(o.labels >= 1 && o.labels <= 64, "--rl-labels has to be from 1 to 64");
  want(o.threshold_stretches >= 0 && o.threshold_stretches <= 10000,
       "--fit-thresholds has to be from 0 to 10000");
  want(o.samples >= (leaves_out ? 2 : 1) && o.samples <= 64,
       "--rl-samples has to be from 1 to 64, with leave-one-out at least 2");
  want(o.baseline_decay >= 0 && o.baseline_decay < 1,
       "--rl-baseline-decay has to be at least 0 and below 1");
  want(o.horizon >= 0 && o.horizon <= 4096, "--rl-horizon has to be from 0 to 4096");
  want(o.discount >= 0 && o.discount <= 1, "--rl-discount has to be from 0 to 1");
  want(o.explore > 0 && o.explore <= 1, "--rl-explore has to be above 0 and at most 1");
  want(o.temperature > 0 && std::isfinite(o.temperature), "--rl-temperature has to be above 0");
  want(o.entropy >= 0 && std::isfinite(o.entropy) && o.winsorise >= 0 && o.lr_budget >= 0 &&
           std::isfinite(o.lr_budget),
       "--rl-entropy, --rl-winsorise and --lr-budget have to be 0 or more");
}

PolicyGradientRun::PolicyGradientRun(JointRun& run, const JointInput& input,
                                     const JointTrainOptions& options,
                                     const StretchSampler& sampler)
    : run_(run),
      input_(input),
      options_(options),
      sampler_(sampler),
      kind_(kind_of(options.rl.policy)),
      credit_(run, input, options_) {}

std::unique_ptr<SelectionRollout> PolicyGradientRun::rollout(bool samples, uint64_t seed) {
  const PolicyGradientOptions& rl = options_.rl;
  const RolloutOptions options{
      .kind = kind_,
      .samples = samples,
      .exploration = {.share = rl.explore, .by_query = rl.explore_by_query},
      .temperature = rl.temperature,
      .top_k = options_.top_k,
      .n_heads = run_.parameters().index_heads(),
      .fake_quantise = options_.fake_quantise};
  return std::make_unique<SelectionRollout>(options, run_.parameters().layers(),
                                            run_.parameters().budgets(),
                                            seeded_generator(input_.train.model.device(), seed));
}

StudentPolicy PolicyGradientRun::student(SelectionRollout& rollout) {
  StudentRules rules = run_.rules();
  rules.counts_expected = false;
  rules.pick = rollout.pick();
  return run_.student(rules, rollout.visit());
}

RolloutRows PolicyGradientRun::rollout_rows(const Stretch& stretch, CounterRng& rng) const {
  const auto length = static_cast<int64_t>(stretch.ids.size());
  RolloutRows rows{.positions = sample_rows(first_row(), length, options_.rows, {}, rng),
                   .sinks = options_.sinks,
                   .window = options_.window};
  rows.on_device = at::tensor(rows.positions, at::kLong).to(input_.train.model.device(), true);
  return rows;
}

// Of rewards [n, T]: [n, T], 0 where there is nothing to choose among.
at::Tensor PolicyGradientRun::advantages(const at::Tensor& rewards) {
  const PolicyGradientOptions& rl = options_.rl;
  const int64_t first = first_row();
  const at::Tensor credits =
      discounted_credit(rewards, rl.horizon, rl.discount).narrow(1, first, rewards.size(1) - first);
  at::Tensor advantage;
  if (rl.baseline == "leave-one-out") {
    advantage = leave_one_out(credits);
  } else {
    MovingAverageBaseline baseline(run_.parameters().baseline_state(), rl.baseline_decay);
    advantage = baseline.advantage(credits);
  }
  return at::cat({at::zeros_like(rewards.narrow(1, 0, first)), winsorised(advantage, rl.winsorise)},
                 1);
}

at::Tensor PolicyGradientRun::backward(const Rollouts& rollouts, const RolloutRows& rows,
                                       const at::Tensor& advantage) {
  const PolicyGradientOptions& rl = options_.rl;
  at::Tensor sums = at::zeros({3}, advantage.options());
  const auto n_samples = static_cast<double>(rollouts.size());
  for (size_t i = 0; i < rollouts.size(); ++i) {
    const auto layers = rollouts[i]->layers();
    // Costs and bonuses are means over layers and readings, as in the other stage.
    const double share = 1 / (n_samples * static_cast<double>(layers.size()));
    const double bonus = rl.entropy / static_cast<double>(layers.size());
    for (const int64_t layer : layers) {
      const at::AutoGradMode with_gradients(true);
      const ChoiceTerms terms = rollouts[i]->terms(layer, rows);
      at::Tensor own = advantage[static_cast<int64_t>(i)].index_select(0, terms.positions);
      // A drawn choice's surprise as a part of its reward has the entropy's gradient.
      const at::Tensor surprise = -terms.log_probability.detach();
      if (!terms.entropy.defined()) own = own + surprise * bonus;
      const auto n_rows = static_cast<double>(own.size(0));
      at::Tensor loss = policy_gradient_loss(terms.log_probability, own, terms.explored, rl.explore,
                                             n_rows * n_samples);
      const at::Tensor expected = terms.expected_size.mean();
      const at::Tensor entropy = terms.entropy.defined() ? terms.entropy.mean() : surprise.mean();
      loss = loss + expected * (run_.token_cost() * share);
      if (terms.entropy.defined()) loss = loss - entropy * (rl.entropy * share);
      (loss / static_cast<double>(options_.batch)).backward();
      const at::NoGradGuard no_grad;
      sums.add_(at::stack({loss.detach(), expected.detach() * share, entropy.detach() * share}));
    }
  }
  return sums;
}

void PolicyGradientRun::learn_sizes(int64_t layer, const LayerCosts& costs, at::Tensor& sums) {
  const auto n_layers = static_cast<double>(run_.parameters().budgets().size());
  const at::Tensor all_sizes = BudgetPolicy::all_sizes(costs.n_seen).unsqueeze(0);
  const at::Tensor sizes = all_sizes.minimum(costs.n_seen.unsqueeze(1));  // [R, n_sizes]
  const at::Tensor cost = costs.costs.mean(0).gather(1, sizes);
  const at::AutoGradMode with_gradients(true);
  const at::Tensor logits =
      retriever::budget_logits(run_.parameters().budgets().at(layer), costs.x,
                               retriever::budget_features(costs.log_share, costs.local));
  const at::Tensor p = logits.softmax(1);
  const at::Tensor expected_cost = (p * cost).sum(1), size = (p * sizes).sum(1).mean();
  const at::Tensor entropy = BudgetPolicy::entropy(logits).mean();
  const at::Tensor loss = expected_cost.mean() + size * (run_.token_cost() / n_layers) -
                          entropy * (options_.rl.entropy / n_layers);
  (loss / static_cast<double>(options_.batch)).backward();
  const at::NoGradGuard no_grad;
  const at::Tensor spread = (p * (cost - expected_cost.unsqueeze(1)).abs()).sum(1).mean();
  const at::Tensor greedy = sizes.gather(1, logits.argmax(1, true)).to(p.scalar_type()).mean();
  sums.add_(at::stack({loss, expected_cost.mean(), spread / n_layers, greedy / n_layers,
                       size / n_layers, entropy / n_layers})
                .detach());
}

// The policy gradient without its noise: for a head that chooses among nine sizes the expectation
// over its choice is a sum, and what each size would have cost is known (train/size_cost.h).
at::Tensor PolicyGradientRun::learn_expected(int64_t step, int64_t index) {
  CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                 kRolloutStream + static_cast<uint64_t>(index));
  const Stretch stretch = sampler_.training(step, index);
  at::Tensor sums = at::zeros({6}, at::TensorOptions(input_.train.model.device()));
  const at::Tensor nll = credit_.read(stretch, rng, [&](int64_t layer, const LayerCosts& costs) {
    learn_sizes(layer, costs, sums);
  });
  const auto length = static_cast<double>(stretch.ids.size());
  run_.count_tokens(static_cast<int64_t>(stretch.ids.size()));
  // Rows without candidates cost nothing and read nothing.
  const double share = (length - static_cast<double>(first_row())) / length;
  std::vector<at::Tensor> metrics(kGradientMetrics);
  metrics[kGradientLoss] = sums[0];
  metrics[kGradientKl] = sums[1] * share;
  metrics[kGradientNll] = nll.to(at::kFloat);
  metrics[kGradientReward] = -sums[1];
  metrics[kGradientAdvantage] = sums[2];
  metrics[kGradientPicked] = sums[3] * share;
  metrics[kGradientExpected] = sums[4];
  metrics[kGradientEntropy] = sums[5];
  return at::stack(metrics);
}

at::Tensor PolicyGradientRun::learn(int64_t step, int64_t index) {
  if (options_.rl.credit == "expected") return learn_expected(step, index);
  const at::NoGradGuard no_grad;
  CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                 kRolloutStream + static_cast<uint64_t>(index));
  const model::Transformer& model = input_.train.model;
  const model::Transformer adapted = model.adapted(run_.parameters().lora());
  const Stretch stretch = sampler_.training(step, index);
  const JointRun::Reading reading = run_.teach(stretch, rng, false);
  Rollouts rollouts;
  std::vector<at::Tensor> rewards, kl, log_probability, picked;
  for (int64_t i = 0; i < options_.rl.samples; ++i) {
    rollouts.push_back(rollout(true, rng.next()));
    StudentPolicy policy = student(*rollouts.back());
    const at::Tensor states = adapted.forward(reading.ids, policy);
    const model::TokenScores scores =
        model::token_scores(model, states, reading.states, reading.ids);
    kl.push_back(scores.kl);
    log_probability.push_back(scores.log_probability);
    rewards.push_back(options_.rl.reward == "kl" ? -scores.kl : scores.log_probability);
    picked.push_back(policy.picked().to(at::kFloat));
  }
  const at::Tensor reward = at::stack(rewards), advantage = advantages(reward);
  const int64_t first = first_row(), n = reward.size(1) - first;
  const at::Tensor sums = backward(rollouts, rollout_rows(stretch, rng), advantage);
  run_.count_tokens(static_cast<int64_t>(stretch.ids.size()));
  std::vector<at::Tensor> metrics(kGradientMetrics);
  metrics[kGradientLoss] = sums[0];
  metrics[kGradientKl] = at::stack(kl).mean();
  metrics[kGradientNll] = -at::stack(log_probability).mean();
  metrics[kGradientReward] = reward.narrow(1, first, n).mean();
  metrics[kGradientAdvantage] = advantage.narrow(1, first, n).abs().mean();
  metrics[kGradientPicked] = at::stack(picked).mean();
  metrics[kGradientExpected] = sums[1];
  metrics[kGradientEntropy] = sums[2];
  return at::stack(metrics);
}

at::Tensor PolicyGradientRun::accumulate(int64_t step) {
  return run_.share(sampler_.training_length(step),
                    [&](int64_t index) { return learn(step, index); });
}

JointScore PolicyGradientRun::score() {
  const auto greedy = rollout(false, 0);
  return run_.score([&] { return student(*greedy); });
}

// The size of which every query takes the best, so that they take as many on average.
int64_t PolicyGradientRun::fixed_size(double mean_picked) const {
  const double wanted = mean_picked * static_cast<double>(options_.length);
  const int64_t most = options_.length - first_row();
  double sum = 0;
  for (int64_t k = 1; k <= most; ++k) {
    sum += static_cast<double>(most - k + 1);  // queries with at least k candidates
    if (sum >= wanted) return k;
  }
  return most;
}

StudentPolicy PolicyGradientRun::thresholded_student(double log_threshold) {
  StudentRules rules = run_.rules();
  rules.counts_expected = false;
  rules.pick = [log_threshold](const PoolScores& pool) {
    PoolScores other = pool;
    other.threshold = at::full({1}, log_threshold, pool.scores.options());
    return greedy_pick(other, retriever::kBudgetSizes.back(), true);
  };
  return run_.student(rules, nullptr);
}

ThresholdFit PolicyGradientRun::fit_thresholds() {
  ThresholdFit fit;
  for (int64_t i = 0; i < options_.rl.threshold_stretches; ++i) {
    CounterRng rng(options_.seed, static_cast<uint64_t>(i), kFitStream);
    credit_.read(sampler_.training(kFitStep + i, 0), rng,
                 [&](int64_t layer, const LayerCosts& costs) { fit.add(layer, costs); });
  }
  return fit;
}

// Found on one held-out stretch.
double PolicyGradientRun::matching_threshold(double mean_picked) {
  const model::Transformer adapted = input_.train.model.adapted(run_.parameters().lora());
  CounterRng rng(options_.seed, 0, kThresholdStream);
  const JointRun::Reading reading = run_.teach(sampler_.held_out(0, false), rng, false);
  double low = kLeastThreshold, high = 0;
  for (int i = 0; i < kThresholdSteps; ++i) {
    const double middle = (low + high) / 2;
    StudentPolicy policy = thresholded_student(middle);
    adapted.forward(reading.ids, policy);
    (policy.picked().item<double>() > mean_picked ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::vector<RuleScore> PolicyGradientRun::compare() {
  const at::NoGradGuard no_grad;
  if (options_.eval_stretches == 0) {
    if (options_.rl.threshold_stretches > 0) {
      const auto n_layers =
          static_cast<double>(retriever_layers(input_.train.model.shape()).size());
      const double price = run_.token_cost() / n_layers;
      run_.parameters().set_thresholds(fit_thresholds().fitted(price).thresholds);
    }
    return {};
  }
  const JointScore own = score();
  const int64_t size = fixed_size(own.picked);
  const double threshold = matching_threshold(own.picked);
  const JointScore fixed = run_.score([&] {
    StudentRules rules = run_.rules();
    rules.top_k = size;
    rules.thresholded = rules.counts_expected = false;
    return run_.student(rules, nullptr);
  });
  const JointScore by_threshold = run_.score([&] { return thresholded_student(threshold); });
  char name[64];
  std::snprintf(name, sizeof name, "p > %.3g", std::exp(threshold));
  std::vector<RuleScore> rules{
      {options_.rl.policy, own}, {concat("best ", size), fixed}, {name, by_threshold}};
  if (options_.rl.threshold_stretches == 0) return rules;
  const double share =
      static_cast<double>(options_.length - first_row()) / static_cast<double>(options_.length);
  const auto fitted = fit_thresholds().fitted_to(own.picked / share);
  run_.parameters().set_thresholds(fitted.thresholds);
  rules.push_back({"p > one share a layer", run_.score([&] {
                     StudentRules layered = run_.rules();
                     layered.top_k = retriever::kBudgetSizes.back();
                     layered.thresholded = true;
                     layered.counts_expected = false;
                     return run_.student(layered, nullptr);
                   })});
  return rules;
}

}  // namespace dsrasq::train
