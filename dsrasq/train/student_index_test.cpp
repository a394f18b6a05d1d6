#include "dsrasq/train/student_index.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::train {
namespace {

constexpr int64_t kTokens = 40;
constexpr PoolRows kRows{.begin = 15, .end = 40, .sinks = 2, .window = 9};

at::Tensor leaf(at::IntArrayRef shape) {
  return at::randn(shape, at::TensorOptions().dtype(at::kDouble)).requires_grad_(true);
}

StudentIndex random_index() {
  at::manual_seed(11);
  return {.query = leaf({3, kTokens, 4}),
          .key = leaf({kTokens, 4}),
          .weight = leaf({kTokens, 3}),
          .local = leaf({kTokens, 1}),
          .threshold = leaf({1})};
}

PoolScores scores_of_rows(const StudentIndex& index) {
  return pool_scores(index, at::arange(kRows.begin, kRows.end), kRows.end, kRows.sinks,
                     kRows.window);
}

TEST(StudentIndex, SelectionHasThePicksTheirRatiosAndCounts) {
  const StudentIndex index = random_index();
  const PoolScores pool = scores_of_rows(index);
  for (const int64_t top_k : {1, 6, 1000}) {
    const StudentRules rules{.top_k = top_k, .counts_expected = true};
    const Selection selection = select_tokens(index, kRows, rules);
    const at::Tensor picked = greedy_pick(pool, top_k, false), u = log_ratio(pool);
    const int64_t n = kRows.n_columns();
    ASSERT_EQ(selection.columns.size(1), std::min(top_k, n));
    EXPECT_EQ(selection.count.item<int64_t>(), picked.sum().item<int64_t>());
    EXPECT_NEAR(selection.expected.item<double>(), u.sigmoid().sum().item<double>(), 1e-9);
    for (int64_t i = 0; i < kRows.end - kRows.begin; ++i) {
      const at::Tensor wanted = picked[i].nonzero().squeeze(1);
      const int64_t n_picked = wanted.size(0);
      EXPECT_TRUE(selection.columns[i].narrow(0, 0, n_picked).to(at::kLong).equal(wanted));
      EXPECT_TRUE(
          (selection.columns[i].narrow(0, n_picked, selection.columns.size(1) - n_picked) == n)
              .all()
              .item<bool>());
      EXPECT_LT((selection.log_ratio[i].narrow(0, 0, n_picked) - u[i].index_select(0, wanted))
                    .abs()
                    .max()
                    .item<double>(),
                1e-10);
    }
  }
}

TEST(StudentIndex, NothingIsComputedForAnIndexThatDoesNotLearn) {
  StudentIndex index = random_index();
  for (at::Tensor* t : {&index.query, &index.key, &index.weight, &index.local}) *t = t->detach();
  // A threshold alone still learns, without gradients for what it does not need.
  const Selection selection = select_tokens(index, kRows, {.top_k = 4});
  ASSERT_TRUE(selection.log_ratio.defined());
  selection.log_ratio.sum().backward();
  EXPECT_EQ(index.threshold.grad().item<double>(), -4.0 * 25);
  index.threshold = index.threshold.detach();
  EXPECT_FALSE(select_tokens(index, kRows, {.top_k = 4}).log_ratio.defined());
}

TEST(StudentIndex, GradientsAreThoseOfTheRatios) {
  StudentIndex index = random_index();
  const std::vector<at::Tensor*> leaves{&index.query, &index.key, &index.weight, &index.local,
                                        &index.threshold};
  const at::Tensor weights = at::randn({25, 6}, at::kDouble);
  const auto gradients = [&](const at::Tensor& root) {
    for (at::Tensor* t : leaves) t->mutable_grad() = at::Tensor();
    root.backward();
    std::vector<at::Tensor> found;
    for (at::Tensor* t : leaves) found.push_back(t->grad());
    return found;
  };
  const Selection selection = select_tokens(index, kRows, {.top_k = 6, .counts_expected = true});
  const at::Tensor columns = selection.columns.to(at::kLong);
  const at::Tensor there = columns < kRows.n_columns();
  const auto own = gradients((selection.log_ratio * weights * there).sum() + selection.expected);
  const at::Tensor u = log_ratio(scores_of_rows(index));
  const at::Tensor of_picks = u.gather(1, columns.clamp_max(kRows.n_columns() - 1));
  const auto wanted = gradients((of_picks * weights * there).sum() + u.sigmoid().sum());
  for (size_t i = 0; i < own.size(); ++i)
    EXPECT_LT((own[i] - wanted[i]).abs().max().item<double>(), 1e-10) << i;
}

}  // namespace
}  // namespace dsrasq::train
