#include "dsrasq/train/policy_gradient.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/retriever/budget_head.h"
#include "dsrasq/train/adam.h"
#include "dsrasq/train/selection_policy.h"

namespace dsrasq::train {
namespace {

const auto kDoubles = at::TensorOptions().dtype(at::kDouble);

at::Tensor logits_of(std::vector<double> values) {
  return at::tensor(values, kDoubles).requires_grad_(true);
}

at::Tensor gradient_of(const at::Tensor& value, const at::Tensor& leaf) {
  leaf.mutable_grad() = at::Tensor();
  value.backward();
  return leaf.grad().clone();
}

void expect_close(const at::Tensor& got, const at::Tensor& wanted, double tolerance = 1e-12) {
  EXPECT_LT((got - wanted).abs().max().item<double>(), tolerance) << got << wanted;
}

TEST(DiscountedCredit, SumsWhatFollowsWithinTheHorizon) {
  const at::Tensor rewards = at::tensor({1, 2, 3, 4, 10, 20, 30, 40}, kDoubles).view({2, 4});
  const at::Tensor wanted =
      at::tensor({2.75, 4.5, 5.0, 4.0, 27.5, 45.0, 50.0, 40.0}, kDoubles).view({2, 4});
  expect_close(discounted_credit(rewards, 2, 0.5), wanted);
  expect_close(discounted_credit(rewards, 0, 0.5), rewards);
  expect_close(discounted_credit(rewards, 100, 1).select(1, 0),
               at::tensor({10.0, 100.0}, kDoubles));
}

TEST(LeaveOneOut, TakesTheMeanOfTheOthersAway) {
  const at::Tensor credits = at::tensor({1, 4, 10}, kDoubles).view({3, 1});
  expect_close(leave_one_out(credits),
               at::tensor({1 - 7.0, 4 - 5.5, 10 - 2.5}, kDoubles).view({3, 1}));
  EXPECT_HAS(error_text(
                 [] {
                   leave_one_out(at::zeros({1, 3}));
                 },
                 ErrorCode::kInvalidArgument),
             "wants at least 2 of them, there is 1");
}

TEST(MovingAverageBaseline, IsTheMeanOfEarlierStepsOnly) {
  const at::Tensor state = at::zeros({2}, kDoubles);
  MovingAverageBaseline baseline(state, 0.5);
  expect_close(baseline.advantage(at::full({1, 2}, 4, kDoubles)), at::full({1, 2}, 4, kDoubles));
  EXPECT_DOUBLE_EQ(baseline.value().item<double>(), 4);
  expect_close(baseline.advantage(at::full({1, 2}, 7, kDoubles)), at::full({1, 2}, 3, kDoubles));
  EXPECT_NEAR(MovingAverageBaseline(state, 0.5).value().item<double>(), (0.25 * 4 + 0.5 * 7) / 0.75,
              1e-12);
}

TEST(Winsorised, CutsWhatIsFarOutAndNothingElse) {
  at::Tensor advantage = at::tensor({1, -1, 1, -1, 1, -1, 1, 100}, kDoubles);
  const at::Tensor cut = winsorised(advantage, 2);
  EXPECT_NEAR(cut[7].item<double>(), 2 * advantage.std(false).item<double>(), 1e-12);
  EXPECT_TRUE(cut.narrow(0, 0, 7).equal(advantage.narrow(0, 0, 7)));
  EXPECT_TRUE(winsorised(advantage, 0).equal(advantage));
}

// One choice among three with a reward each: everything can be enumerated.
struct OneChoice {
  at::Tensor logits = logits_of({0.4, -0.3, 0.9});
  at::Tensor reward = at::tensor({3.0, -1.0, 0.5}, kDoubles);

  at::Tensor log_p() const { return logits.log_softmax(0); }
  double p(int64_t i) const { return log_p()[i].exp().item<double>(); }
  at::Tensor exact() const { return -gradient_of((log_p().exp() * reward).sum(), logits); }
};

TEST(PolicyGradient, LeaveOneOutIsUnbiased) {
  const OneChoice problem;
  for (const int64_t n : {2, 3}) {
    at::Tensor mean = at::zeros({3}, kDoubles);
    const auto n_outcomes = static_cast<int64_t>(std::pow(3, n));
    for (int64_t outcome = 0; outcome < n_outcomes; ++outcome) {
      std::vector<int64_t> choices;
      double probability = 1;
      for (int64_t i = 0, code = outcome; i < n; ++i, code /= 3) {
        choices.push_back(code % 3);
        probability *= problem.p(choices.back());
      }
      const at::Tensor choice = at::tensor(choices, at::kLong);
      const at::Tensor advantage =
          leave_one_out(problem.reward.index_select(0, choice).unsqueeze(1)).squeeze(1);
      const at::Tensor loss = policy_gradient_loss(problem.log_p().index_select(0, choice),
                                                   advantage, {}, 1, static_cast<double>(n));
      mean += gradient_of(loss, problem.logits) * probability;
    }
    expect_close(mean, problem.exact());
  }
}

TEST(PolicyGradient, AMovingAverageIsUnbiasedWhateverItHolds) {
  const OneChoice problem;
  at::Tensor mean = at::zeros({3}, kDoubles);
  for (int64_t i = 0; i < 3; ++i) {
    MovingAverageBaseline baseline(at::tensor({1.3, 0.4}, kDoubles), 0.9);
    const at::Tensor advantage = baseline.advantage(problem.reward.narrow(0, i, 1));
    mean += gradient_of(policy_gradient_loss(problem.log_p().narrow(0, i, 1), advantage, {}, 1, 1),
                        problem.logits) *
            problem.p(i);
  }
  expect_close(mean, problem.exact());
}

TEST(PolicyGradient, CreditOverLaterRewardsIsUnbiasedWhereChoicesActLater) {
  // Two queries; the second's reward depends on both choices.
  const at::Tensor logits = logits_of({0.4, -0.3, 0.9, 0.1, 0.2, -0.6});
  const at::Tensor late = at::tensor({1, 2, -3, 0, 5, 1, 2, 2, -1}, kDoubles).view({3, 3});
  const at::Tensor early = at::tensor({0.5, -1.0, 2.0}, kDoubles);
  const auto log_p = [&] { return logits.view({2, 3}).log_softmax(1); };
  at::Tensor value = at::zeros({}, kDoubles), mean = at::zeros({6}, kDoubles),
             short_sighted = at::zeros({6}, kDoubles);
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j) {
      const at::Tensor joint = log_p()[0][i] + log_p()[1][j];
      const at::Tensor rewards = at::stack({early[i], late[i][j]}).unsqueeze(0);
      value = value + joint.exp() * rewards.sum();
      const double p = joint.exp().item<double>();
      const auto estimate = [&](int64_t horizon) {
        const at::Tensor chosen = at::stack({log_p()[0][i], log_p()[1][j]});
        const at::Tensor credit = discounted_credit(rewards, horizon, 1).squeeze(0);
        return gradient_of(policy_gradient_loss(chosen, credit, {}, 1, 1), logits) * p;
      };
      mean += estimate(1);
      short_sighted += estimate(0);
    }
  const at::Tensor exact = -gradient_of(value, logits);
  expect_close(mean, exact);
  EXPECT_GT((short_sighted - exact).narrow(0, 0, 3).abs().max().item<double>(), 0.01);
}

TEST(PolicyGradient, ExploringAShareOfTheLayersIsUnbiased) {
  // Two layers that choose one of two; a layer that does not explore takes the greedy one, 0.
  const at::Tensor logits = logits_of({0.8, -0.2, 0.5, 0.1});
  const at::Tensor reward = at::tensor({1.0, -2.0, 4.0, 0.5}, kDoubles).view({2, 2});
  const auto log_p = [&] { return logits.view({2, 2}).log_softmax(1); };
  constexpr double kShare = 0.25;
  at::Tensor mean = at::zeros({4}, kDoubles);
  for (int64_t mask = 0; mask < 4; ++mask) {
    const bool a = mask & 1, b = mask & 2;
    const double p_mask = (a ? kShare : 1 - kShare) * (b ? kShare : 1 - kShare);
    for (int64_t i = 0; i < (a ? 2 : 1); ++i)
      for (int64_t j = 0; j < (b ? 2 : 1); ++j) {
        const at::Tensor chosen = at::stack({log_p()[0][i], log_p()[1][j]});
        const at::Tensor explores = at::tensor({a ? 1 : 0, b ? 1 : 0}).to(at::kBool);
        const double p = chosen.masked_fill(~explores, 0).sum().exp().item<double>() * p_mask;
        mean += p * gradient_of(
                        policy_gradient_loss(chosen, reward[i][j].expand({2}), explores, kShare, 1),
                        logits);
      }
  }
  // A layer's own gradient is that of the reward while it explores and the other sometimes does.
  const auto value = [&](int64_t layer) {
    const at::Tensor other = log_p()[1 - layer].exp().detach();
    const at::Tensor mine = layer == 0 ? reward : reward.t();
    return (log_p()[layer].exp() * (kShare * mine.matmul(other) + (1 - kShare) * mine.select(1, 0)))
        .sum();
  };
  const at::Tensor wanted = -gradient_of(value(0) + value(1), logits);
  expect_close(mean, wanted);
  at::Generator generator = seeded_generator(at::kCPU, 3);
  const at::Tensor many = explored({.share = kShare}, 40000, generator, logits);
  EXPECT_NEAR(many.to(at::kFloat).mean().item<double>(), kShare, 5 * std::sqrt(0.25 * 0.75 / 4e4));
  for (int i = 0; i < 20; ++i) {
    const at::Tensor one = explored({.share = 0.5, .by_query = false}, 7, generator, logits);
    EXPECT_TRUE(one.equal(one.narrow(0, 0, 1).expand({7})));
  }
}

TEST(PolicyGradient, SurpriseAsAPartOfTheRewardIsTheGradientOfTheEntropy) {
  const OneChoice problem;
  at::Tensor mean = at::zeros({3}, kDoubles);
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor chosen = problem.log_p().narrow(0, i, 1);
    mean +=
        gradient_of(policy_gradient_loss(chosen, -chosen, {}, 1, 1), problem.logits) * problem.p(i);
  }
  const at::Tensor entropy = -(problem.log_p().exp() * problem.log_p()).sum();
  expect_close(mean, -gradient_of(entropy, problem.logits));
}

// Sampled: the mean of many estimates is within five standard errors of the exact gradient.
TEST(PolicyGradient, SampledRacesAgreeWithEnumeration) {
  const at::Tensor u = logits_of({0.5, -0.4, 0.2});
  const at::Tensor worth = at::tensor({2.0, -1.0, 0.5}, kDoubles);
  const RacePolicy policy{.most = 2};
  const auto reward = [&](const at::Tensor& order) {
    const at::Tensor set = RacePolicy::picked(order, 3).to(at::kDouble);
    return (set * worth).sum(1) + 3 * set.select(1, 0) * set.select(1, 1);
  };
  const at::Tensor orders =
      at::tensor({3, 3, 0, 3, 1, 3, 2, 3, 0, 1, 0, 2, 1, 0, 1, 2, 2, 0, 2, 1}).view({10, 2});
  const at::Tensor p = policy.log_probability(u.expand({10, 3}), orders).exp();
  ASSERT_NEAR(p.sum().item<double>(), 1, 1e-12);
  const at::Tensor exact = -gradient_of((p * reward(orders)).sum(), u);

  constexpr int64_t kDraws = 20000;
  at::Generator generator = seeded_generator(at::kCPU, 11);
  const at::Tensor rows = u.detach().expand({2 * kDraws, 3}).clone().requires_grad_(true);
  const at::Tensor order = policy.sample(rows, generator);
  const at::Tensor advantage = leave_one_out(reward(order).view({2, kDraws})).view({-1});
  policy_gradient_loss(policy.log_probability(rows, order), advantage, {}, 1, 2).backward();
  const at::Tensor estimates = rows.grad().view({2, kDraws, 3}).sum(0);
  const at::Tensor error = estimates.std(0, true) / std::sqrt(static_cast<double>(kDraws));
  const at::Tensor off = (estimates.mean(0) - exact).abs() / error;
  EXPECT_LT(off.max().item<double>(), 5) << estimates.mean(0) << exact;
}

// A bandit whose best set is {1, 3}: two good candidates, two that cost more than they bring.
template <class LogProbability, class Sample>
at::Tensor solve_bandit(const Sample& sample, const LogProbability& log_probability) {
  const at::Tensor worth = at::tensor({-0.5f, 1.0f, -1.0f, 0.6f});
  at::Tensor u = at::zeros({1, 4});
  AdamState adam(u);
  at::Generator generator = seeded_generator(at::kCPU, 21);
  for (int step = 0; step < 300; ++step) {
    const at::Tensor leaf = u.detach().requires_grad_(true), rows = leaf.expand({4, 4});
    const auto [action, picked] = sample(rows, generator);
    const at::Tensor reward = (picked.to(at::kFloat) * worth).sum(1);
    const at::Tensor advantage = leave_one_out(reward.unsqueeze(1)).squeeze(1);
    policy_gradient_loss(log_probability(rows, action), advantage, {}, 1, 4).backward();
    adam_step(u, leaf.grad(), row_norms(leaf.grad()), 0.1, {}, adam);
  }
  return u.squeeze(0);
}

void expect_best_set(const at::Tensor& u) {
  const at::Tensor wanted = at::tensor({0, 1, 0, 1}).to(at::kBool);
  EXPECT_TRUE((u > 0).equal(wanted)) << u;
  EXPECT_GT(u.abs().min().item<float>(), 1) << u;
}

TEST(PolicyGradient, BernoulliSolvesABandit) {
  const BernoulliPolicy policy;
  expect_best_set(solve_bandit(
      [&](const at::Tensor& u, at::Generator& generator) {
        const at::Tensor picked = policy.sample(u, generator);
        return std::pair(picked, picked);
      },
      [&](const at::Tensor& u, const at::Tensor& picked) {
        return policy.log_probability(u, picked);
      }));
}

TEST(PolicyGradient, RaceSolvesABandit) {
  const RacePolicy policy{.most = 4};
  expect_best_set(solve_bandit(
      [&](const at::Tensor& u, at::Generator& generator) {
        const at::Tensor order = policy.sample(u, generator);
        return std::pair(order, RacePolicy::picked(order, 4));
      },
      [&](const at::Tensor& u, const at::Tensor& order) {
        return policy.log_probability(u, order);
      }));
}

TEST(PolicyGradient, BudgetLearnsHowManyTokensEachQueryNeeds) {
  // Queries of two kinds: with 16 tokens the first have all they need, the second with none.
  const at::Tensor x = at::eye(2), features = at::zeros({2, retriever::kBudgetFeatures});
  const at::Tensor needed = at::tensor({16, 0});
  retriever::BudgetParameters head = retriever::BudgetParameters::fresh(2);
  AdamState adam(head.weight);
  at::Generator generator = seeded_generator(at::kCPU, 22);
  constexpr int64_t kSamples = 4;
  for (int step = 0; step < 300; ++step) {
    const at::Tensor leaf = head.weight.detach().requires_grad_(true);
    const at::Tensor logits = retriever::budget_logits({leaf, head.bias}, x, features);
    const at::Tensor rows = logits.repeat({kSamples, 1});
    const at::Tensor choice = BudgetPolicy::sample(rows, generator);
    const at::Tensor enough = BudgetPolicy::sizes(choice).view({kSamples, 2}) >= needed;
    const at::Tensor advantage = leave_one_out(enough.to(at::kFloat)).view({-1});
    const at::Tensor cost = BudgetPolicy::expected_size(logits, at::full({2}, 1000)).mean() * 0.002;
    (policy_gradient_loss(BudgetPolicy::log_probability(rows, choice), advantage, {}, 1,
                          2 * kSamples) +
     cost)
        .backward();
    adam_step(head.weight, leaf.grad(), row_norms(leaf.grad()), 0.1, {.clip = 0}, adam);
  }
  const at::Tensor best = retriever::budget_logits(head, x, features).argmax(1);
  EXPECT_TRUE(BudgetPolicy::sizes(best).equal(needed)) << best;
}

}  // namespace
}  // namespace dsrasq::train
