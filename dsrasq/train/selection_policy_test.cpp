#include "dsrasq/train/selection_policy.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "dsrasq/retriever/budget_head.h"

namespace dsrasq::train {
namespace {

using Value = std::function<at::Tensor(const at::Tensor&)>;

at::Tensor doubles(const std::vector<double>& values) {
  return at::tensor(values, at::TensorOptions().dtype(at::kDouble)).unsqueeze(0);
}

// Four candidates, of which the third is not seen.
at::Tensor tiny_logits() { return doubles({0.7, -1.2, kNoCandidate, 1.9}); }

at::Tensor all_sets(int64_t n) {
  const at::Tensor powers = at::full({n}, 2, at::kLong).pow(at::arange(n));
  return at::arange(1 << n).unsqueeze(1).floor_divide(powers).remainder(2).to(at::kBool);
}

// Every ordered choice of at most k of n columns, ended by n.
at::Tensor all_orders(int64_t n, int64_t k) {
  std::vector<at::Tensor> orders;
  std::vector<int64_t> order;
  const std::function<void()> extend = [&] {
    std::vector<int64_t> padded = order;
    padded.resize(static_cast<size_t>(k), n);
    orders.push_back(at::tensor(padded, at::kLong));
    if (static_cast<int64_t>(order.size()) == k) return;
    for (int64_t j = 0; j < n; ++j) {
      if (std::find(order.begin(), order.end(), j) != order.end()) continue;
      order.push_back(j), extend(), order.pop_back();
    }
  };
  extend();
  return at::stack(orders);
}

double number(const at::Tensor& t) { return t.item<double>(); }

// The gradient of a sum over rows against central differences.
void expect_gradient(const at::Tensor& at_value, const Value& value) {
  const at::Tensor leaf = at_value.detach().clone().requires_grad_(true);
  value(leaf).sum().backward();
  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < at_value.numel(); ++i) {
    const auto moved = [&](double by) {
      at::Tensor other = at_value.clone();
      other.view({-1}).narrow(0, i, 1).add_(by);
      return number(value(other).sum());
    };
    const double wanted = (moved(kStep) - moved(-kStep)) / (2 * kStep);
    EXPECT_NEAR(leaf.grad().view({-1})[i].item<double>(), wanted, 1e-6 * (1 + std::abs(wanted)))
        << "element " << i;
  }
}

// Each row of `outcomes` is one sample; how often each was drawn against its probability.
void expect_frequencies(const at::Tensor& drawn, const at::Tensor& outcomes,
                        const at::Tensor& probabilities) {
  const auto n = static_cast<double>(drawn.size(0));
  for (int64_t i = 0; i < outcomes.size(0); ++i) {
    const double share = number((drawn == outcomes[i]).all(1).sum()) / n;
    const double p = probabilities[i].item<double>();
    EXPECT_NEAR(share, p, 5 * std::sqrt(p * (1 - p) / n) + 1e-9) << outcomes[i];
  }
}

TEST(BernoulliPolicy, ProbabilitiesOfAllSetsSumToOneAndGiveSizeAndEntropy) {
  const BernoulliPolicy policy{.temperature = 0.7};
  const at::Tensor sets = all_sets(4), u = tiny_logits().expand({16, 4});
  const at::Tensor log_p = policy.log_probability(u, sets), p = log_p.exp();
  EXPECT_NEAR(number(p.sum()), 1, 1e-12);
  EXPECT_EQ(number(p.masked_select(sets.select(1, 2)).sum()), 0);
  EXPECT_NEAR(number((p * sets.sum(1)).sum()), number(policy.expected_size(tiny_logits())), 1e-12);
  EXPECT_NEAR(-number((p * log_p.clamp_min(-700)).sum()), number(policy.entropy(tiny_logits())),
              1e-12);
}

TEST(BernoulliPolicy, SamplesAsOftenAsItSays) {
  const BernoulliPolicy policy{.temperature = 1.5};
  at::Generator generator = seeded_generator(at::kCPU, 5);
  const at::Tensor drawn = policy.sample(tiny_logits().expand({40000, 4}), generator);
  const at::Tensor sets = all_sets(4);
  expect_frequencies(drawn, sets,
                     policy.log_probability(tiny_logits().expand({16, 4}), sets).exp());
}

TEST(BernoulliPolicy, GradientsMatchFiniteDifferences) {
  const BernoulliPolicy policy{.temperature = 0.6};
  const at::Tensor u = at::linspace(-2, 3, 12, at::kDouble).view({3, 4});
  const at::Tensor picked = at::arange(12).view({3, 4}).remainder(3) == 1;
  expect_gradient(u, [&](const at::Tensor& t) { return policy.log_probability(t, picked); });
  expect_gradient(u, [&](const at::Tensor& t) { return policy.expected_size(t); });
  expect_gradient(u, [&](const at::Tensor& t) { return policy.entropy(t); });
}

TEST(RacePolicy, ProbabilitiesOfAllOrdersSumToOne) {
  for (const int64_t most : {1, 2, 4}) {
    const RacePolicy policy{.most = most};
    const at::Tensor orders = all_orders(4, most);
    const at::Tensor u = tiny_logits().expand({orders.size(0), 4});
    const at::Tensor p = policy.log_probability(u, orders).exp();
    EXPECT_NEAR(number(p.sum()), 1, 1e-12) << most;
    const at::Tensor size = (orders < 4).sum(1);
    const double expected = number((p * size).sum()), bound = number(policy.expected_size(u)[0]);
    if (most == 4)
      EXPECT_NEAR(expected, bound, 1e-12);
    else
      EXPECT_LT(expected, bound);
  }
}

TEST(RacePolicy, LogProbabilityIsThatOfOnePickAfterTheOther) {
  const at::Tensor u = tiny_logits();
  const double a = std::exp(0.7), b = std::exp(-1.2), d = std::exp(1.9);
  const auto log_p = [&](std::vector<int64_t> order) {
    return number(RacePolicy{.most = 2}.log_probability(u, at::tensor(order).unsqueeze(0)));
  };
  EXPECT_NEAR(log_p({3, 0}), std::log(d / (1 + a + b + d) * a / (1 + a + b)), 1e-12);
  EXPECT_NEAR(log_p({3, 4}), std::log(d / (1 + a + b + d) * 1 / (1 + a + b)), 1e-12);
  EXPECT_NEAR(log_p({4, 4}), std::log(1 / (1 + a + b + d)), 1e-12);
}

TEST(RacePolicy, SamplesAsOftenAsItSays) {
  for (const int64_t most : {2, 4}) {
    const RacePolicy policy{.most = most};
    at::Generator generator = seeded_generator(at::kCPU, 6);
    const at::Tensor drawn = policy.sample(tiny_logits().expand({40000, 4}), generator);
    const at::Tensor orders = all_orders(4, most);
    const at::Tensor u = tiny_logits().expand({orders.size(0), 4});
    expect_frequencies(drawn, orders, policy.log_probability(u, orders).exp());
    EXPECT_EQ((drawn == 2).sum().item<int64_t>(), 0);
  }
}

TEST(RacePolicy, GradientsMatchFiniteDifferences) {
  const at::Tensor u = at::linspace(-2, 3, 15, at::kDouble).view({3, 5});
  const at::Tensor order = at::tensor({4, 0, 2, 1, 5, 5, 5, 5, 5}).view({3, 3});
  const RacePolicy policy{.most = 3};
  expect_gradient(u, [&](const at::Tensor& t) { return policy.log_probability(t, order); });
  expect_gradient(u, [&](const at::Tensor& t) { return policy.expected_size(t); });
}

TEST(RacePolicy, StaysExactWhenOneCandidateOutweighsAllOthers) {
  const at::Tensor u = at::tensor({60.0f, -20.0f}).unsqueeze(0);
  const at::Tensor both = at::tensor({0, 1}).unsqueeze(0), one = at::tensor({0, 2}).unsqueeze(0);
  const RacePolicy policy{.most = 2};
  EXPECT_NEAR(policy.log_probability(u, both).item<float>(), -20, 1e-4);
  EXPECT_NEAR(policy.log_probability(u, one).item<float>(), 0, 1e-6);
  const at::Tensor set = RacePolicy::picked(one, 2);
  EXPECT_TRUE(set.equal(at::tensor({1, 0}).to(at::kBool).unsqueeze(0)));
}

TEST(BudgetPolicy, ProbabilitiesOfAllSizesSumToOneAndGiveSizeAndEntropy) {
  const at::Tensor logits = doubles({0.3, -1, 2, 0.5, 0, -2, 1, 0.2, -0.4}).expand({9, 9});
  const at::Tensor choice = at::arange(9);
  const at::Tensor log_p = BudgetPolicy::log_probability(logits, choice), p = log_p.exp();
  EXPECT_NEAR(number(p.sum()), 1, 1e-12);
  EXPECT_EQ(BudgetPolicy::sizes(choice)[8].item<int64_t>(), 256);
  const at::Tensor size = BudgetPolicy::sizes(choice).clamp_max(100);
  EXPECT_NEAR(number((p * size).sum()),
              number(BudgetPolicy::expected_size(logits, at::full({9}, 100))[0]), 1e-12);
  EXPECT_NEAR(-number((p * log_p).sum()), number(BudgetPolicy::entropy(logits)[0]), 1e-12);
  at::Generator generator = seeded_generator(at::kCPU, 7);
  const at::Tensor drawn =
      BudgetPolicy::sample(logits.narrow(0, 0, 1).expand({40000, 9}), generator);
  expect_frequencies(drawn.unsqueeze(1), choice.unsqueeze(1), p);
}

TEST(BudgetPolicy, GradientsMatchFiniteDifferences) {
  const at::Tensor x = at::linspace(-1, 1, 8, at::kDouble).view({2, 4});
  const at::Tensor features = at::linspace(-3, 0, 2 * retriever::kBudgetFeatures, at::kDouble)
                                  .view({2, retriever::kBudgetFeatures});
  const at::Tensor weight =
      at::linspace(-1, 1, 9 * (4 + retriever::kBudgetFeatures), at::kDouble).sin().view({9, -1});
  const at::Tensor bias = at::zeros({9}, at::kDouble), choice = at::tensor({1, 4});
  const at::Tensor count = at::tensor({30, 500});
  const auto value = [&](const at::Tensor& w) {
    const at::Tensor logits = retriever::budget_logits({w, bias}, x, features);
    return BudgetPolicy::log_probability(logits, choice) +
           0.01 * BudgetPolicy::expected_size(logits, count) + BudgetPolicy::entropy(logits);
  };
  expect_gradient(weight, value);
}

}  // namespace
}  // namespace dsrasq::train
