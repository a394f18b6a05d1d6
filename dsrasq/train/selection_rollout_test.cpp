#include "dsrasq/train/selection_rollout.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/joint_test_bench.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

// What a reading chose, against what its rules say, and the log-probabilities it gives.
class SelectionRolloutTest : public FolderTest {
 protected:
  static constexpr int64_t kTokens = 64, kWindow = 16, kSinks = 2;

  struct Setup {
    JointBench bench;
    JointInput input;
    JointTrainOptions options;
    TokenCache cache;
    StretchSampler sampler;
    JointRun run;

    Setup(const fs::path& folder, const std::string& policy)
        : bench(folder),
          input(bench.joint_input()),
          options(bench.gradient_options("a", policy)),
          cache(bench.path("tokens")),
          sampler(cache, input.train.encode, {.length = kTokens, .long_share = 0}),
          run(input, options, sampler) {}
  };

  // Reads a stretch in small chunks and returns what every row picked by layer.
  static std::map<int64_t, at::Tensor> read(Setup& setup, SelectionRollout& rollout) {
    const at::NoGradGuard no_grad;
    std::map<int64_t, at::Tensor> picked;
    int64_t layer = 0;
    StudentRules rules = setup.run.rules();
    rules.chunk_rows = 20;
    const auto visit = rollout.visit();
    const auto pick = rollout.pick();
    rules.pick = [&](const PoolScores& pool) {
      at::Tensor& all = picked[layer];
      if (!all.defined()) all = at::zeros({kTokens, kTokens}, at::kBool);
      const at::Tensor chosen = pick(pool);
      all.narrow(0, pool.begin, chosen.size(0)).narrow(1, kSinks, chosen.size(1)).copy_(chosen);
      return chosen;
    };
    StudentPolicy policy = setup.run.student(rules, [&](int64_t l, const at::Tensor& x) {
      layer = l;
      visit(l, x);
    });
    const at::Tensor ids = at::arange(kTokens, at::kLong).mul(37).remainder(64);
    setup.bench.model().forward(ids, policy);
    double sum = 0;
    for (const auto& [l, all] : picked) sum += all.sum().item<double>();
    EXPECT_NEAR(policy.picked().item<double>(), sum / (2 * kTokens), 1e-4);
    return picked;
  }
  static RolloutRows some_rows() {
    RolloutRows rows{
        .positions = {18, 19, 25, 39, 40, 41, 60, 63}, .sinks = kSinks, .window = kWindow};
    rows.on_device = at::tensor(rows.positions, at::kLong);
    return rows;
  }
};

TEST(BestOfSizes, GivesEachRowItsNumberAndTiesToTheLowerPosition) {
  const at::Tensor unseen = at::tensor({0, 0, 0, 0, 0, 1}).to(at::kBool).expand({5, 6});
  const at::Tensor scores =
      at::tensor({1.0f, 3.0f, 2.0f, 3.0f, 1.0f, 9.0f}).expand({5, 6}).masked_fill(unseen, -1e30);
  const PoolScores pool{.scores = scores, .unseen = unseen};
  const at::Tensor picked =
      best_of_sizes(pool, std::get<0>(scores.topk(6, 1)), at::tensor({0, 1, 3, 4, 250}));
  const at::Tensor wanted = at::tensor({0, 0, 0, 0, 0, 0,  //
                                        0, 1, 0, 0, 0, 0,  //
                                        0, 1, 1, 1, 0, 0,  //
                                        1, 1, 1, 1, 0, 0,  //
                                        1, 1, 1, 1, 1, 0})
                                .view({5, 6});
  EXPECT_TRUE(picked.equal(wanted.to(at::kBool))) << picked;
  EXPECT_TRUE(greedy_pick(pool, 4, false).equal(wanted[3].to(at::kBool).expand({5, 6})));
}

TEST_F(SelectionRolloutTest, BudgetTakesTheBestOfTheSizeThatItDrew) {
  Setup setup(folder_, "budget");
  const JointParameters& parameters = setup.run.parameters();
  ASSERT_EQ(parameters.budgets().size(), 2u);
  SelectionRollout rollout({.kind = SelectionKind::kBudget, .n_heads = 2}, parameters.layers(),
                           parameters.budgets(), seeded_generator(at::kCPU, 4));
  const auto picked = read(setup, rollout);
  ASSERT_EQ(rollout.layers(), (std::vector<int64_t>{0, 1}));
  const ChoiceTerms terms = rollout.terms(1, some_rows());
  // Fresh heads say the same for every query; rows 18 to 63 are all used.
  ASSERT_EQ(terms.positions.size(0), 46);
  EXPECT_EQ(terms.positions[0].item<int64_t>(), 18);
  EXPECT_TRUE(terms.explored.all().item<bool>());
  const at::Tensor p = parameters.budgets().at(1).bias.detach().softmax(0);
  EXPECT_NEAR(terms.expected_size[45].item<double>(),
              (p * at::tensor({0, 2, 4, 8, 16, 32, 46, 46, 46})).sum().item<double>(), 1e-4);
  for (int64_t i = 0; i < 46; ++i) {
    const int64_t size = picked.at(1)[18 + i].sum().item<int64_t>(), most = i + 1;
    double wanted = 0;  // of all sizes that come to this one
    for (size_t s = 0; s < retriever::kBudgetSizes.size(); ++s)
      if (std::min(retriever::kBudgetSizes[s], most) == size)
        wanted = std::max(wanted, p[static_cast<int64_t>(s)].item<double>());
    EXPECT_GT(wanted, 0) << size;
    if (size < std::min<int64_t>(most, 64)) {
      EXPECT_NEAR(terms.log_probability[i].item<double>(), std::log(wanted), 1e-4);
    }
    EXPECT_FALSE(picked.at(1)[18 + i].narrow(0, i + 3, kTokens - i - 3).any().item<bool>());
  }
  // A greedy reading takes 64 or all there are, and keeps nothing.
  SelectionRollout greedy({.kind = SelectionKind::kBudget, .samples = false, .n_heads = 2},
                          parameters.layers(), parameters.budgets(), seeded_generator(at::kCPU, 4));
  EXPECT_EQ(read(setup, greedy).at(0)[63].sum().item<int64_t>(), 46);
  EXPECT_TRUE(greedy.layers().empty());
}

TEST_F(SelectionRolloutTest, LogProbabilitiesOfTokensAreThoseOfTheirPolicies) {
  for (const bool is_race : {true, false}) {
    Setup setup(folder_ / (is_race ? "race" : "bernoulli"), is_race ? "race" : "bernoulli");
    const JointParameters& parameters = setup.run.parameters();
    const RolloutOptions options{.kind = is_race ? SelectionKind::kRace : SelectionKind::kBernoulli,
                                 .exploration = {.share = 0.7},
                                 .top_k = 4,
                                 .n_heads = 2};
    SelectionRollout rollout(options, parameters.layers(), parameters.budgets(),
                             seeded_generator(at::kCPU, 4));
    const auto picked = read(setup, rollout);
    const RolloutRows rows = some_rows();
    const ChoiceTerms terms = rollout.terms(0, rows);
    ASSERT_TRUE(terms.positions.equal(rows.on_device));
    EXPECT_EQ(terms.entropy.defined(), !is_race);

    // Again from the first layer's input alone.
    const at::NoGradGuard no_grad;
    at::Tensor x;
    StudentPolicy reader = setup.run.student(setup.run.rules(), [&](int64_t layer, const auto& t) {
      if (layer == 0) x = t;
    });
    setup.bench.model().forward(at::arange(kTokens, at::kLong).mul(37).remainder(64), reader);
    const StudentLayer& layer = parameters.layers()[0];
    const StudentIndex index = StudentIndex::of(*layer.indexer, layer.threshold, x, 2, true);
    for (size_t i = 0; i < rows.positions.size(); ++i) {
      const int64_t row = rows.positions[i], end = row + 1;
      const auto at_i = static_cast<int64_t>(i);
      const at::Tensor u = log_ratio(pool_scores(index, at::tensor({row}), end, kSinks, kWindow));
      EXPECT_NEAR(terms.expected_size[at_i].item<double>(), u.sigmoid().sum().item<double>(), 1e-3);
      if (!terms.explored[at_i].item<bool>()) continue;
      const at::Tensor set = picked.at(0)[row].narrow(0, kSinks, u.size(1)).unsqueeze(0);
      const double got = terms.log_probability[at_i].item<double>();
      if (!is_race) {
        EXPECT_NEAR(got, BernoulliPolicy{}.log_probability(u, set).item<double>(), 1e-3);
        continue;
      }
      // In one of the orders of its set.
      std::vector<int64_t> order;
      for (int64_t j = 0; j < u.size(1); ++j)
        if (set[0][j].item<bool>()) order.push_back(j);
      ASSERT_LE(order.size(), 4u);
      bool found = false;
      do {
        std::vector<int64_t> padded = order;
        padded.resize(std::min<size_t>(4, static_cast<size_t>(u.size(1))), u.size(1));
        const at::Tensor log_p =
            RacePolicy{4}.log_probability(u, at::tensor(padded, at::kLong).unsqueeze(0));
        found = found || std::abs(got - log_p.item<double>()) < 1e-3;
      } while (std::next_permutation(order.begin(), order.end()));
      EXPECT_TRUE(found) << row;
    }
    EXPECT_TRUE((terms.log_probability.isfinite()).all().item<bool>());
  }
}

}  // namespace
}  // namespace dsrasq::train
