#pragma once

// What the policy-gradient stage of `dsrasq train joint` can be told.

#include <cstdint>
#include <string>

namespace dsrasq::train {

struct PolicyGradientOptions {
  int64_t steps = 0;
  std::string policy = "budget";   ///< budget, race or bernoulli
  std::string credit = "sampled";  ///< or expected
  int64_t samples = 4;
  int64_t labels = 4;
  int64_t threshold_stretches = 0;
  std::string baseline = "leave-one-out";  ///< or moving-average
  double baseline_decay = 0.95;
  std::string reward = "kl";  ///< or log-prob
  int64_t horizon = 0;
  double discount = 0.8;
  double explore = 1;
  bool explore_by_query = true;
  double temperature = 1;
  double entropy = 3e-5;
  double winsorise = 4;
  double lr_budget = 3e-3;

  bool trains_budget() const { return steps > 0 && policy == "budget"; }
  bool trains_thresholds() const { return steps > 0 && policy != "budget"; }

  template <class Visit>
  void visit(Visit&& visit) {
    visit(steps, "rl-steps", "steps of policy gradient after the others; 0: none");
    visit(policy, "rl-policy",
          "what is random in them: budget (how many tokens), race (which, one after the other) or "
          "bernoulli (each by itself)");
    visit(credit, "rl-credit",
          "how choices are judged: sampled (by what random readings got) or expected (of a budget "
          "every size at once, by a backward pass through full attention)");
    visit(samples, "rl-samples", "sampled: random readings of each stretch");
    visit(labels, "rl-labels", "expected: backward passes for each stretch");
    visit(threshold_stretches, "fit-thresholds",
          "stretches from which, at the end, a threshold for every layer is computed too; 0: none");
    visit(baseline, "rl-baseline",
          "what a reward is compared with: leave-one-out (the other readings) or moving-average");
    visit(baseline_decay, "rl-baseline-decay", "of the moving average, by step");
    visit(reward, "rl-reward",
          "of a token: kl (minus the KL to full attention) or log-prob (of the text)");
    visit(horizon, "rl-horizon", "later tokens whose rewards a choice is credited with");
    visit(discount, "rl-discount", "of their rewards, by token");
    visit(explore, "rl-explore", "share of the layers that choose at random in a reading");
    visit(explore_by_query, "rl-explore-by-query", "other layers for every query; false: for all");
    visit(temperature, "rl-temperature", "of the bernoulli policy");
    visit(entropy, "rl-entropy", "bonus for a choice's entropy, mean over queries and layers");
    visit(winsorise, "rl-winsorise",
          "standard deviations at which an advantage is cut off; 0: nowhere");
    visit(lr_budget, "lr-budget", "peak learning rate of the budget heads");
  }
};

}  // namespace dsrasq::train
