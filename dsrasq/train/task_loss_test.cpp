#include "dsrasq/train/task_loss.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <array>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/model/token_score.h"
#include "dsrasq/train/test_bench.h"

namespace dsrasq::train {
namespace {

class TaskLossTest : public FolderTest {};

TEST_F(TaskLossTest, IsTheMeanOfTheTokensScores) {
  const TestBench bench(folder_);
  const at::NoGradGuard no_grad;
  const at::Tensor a = at::randn({9, 32}), b = at::randn({9, 32});
  const at::Tensor ids = at::arange(9, at::kLong).mul(5).remainder(64);
  const model::TokenScores scores = model::token_scores(bench.model(), a, b, ids);
  ASSERT_EQ(scores.kl.sizes(), (at::IntArrayRef{9}));
  ASSERT_EQ(scores.log_probability.sizes(), (at::IntArrayRef{9}));
  const TaskTerms terms = task_terms(bench.model(), a, b, ids, {}, false);
  EXPECT_NEAR(scores.kl.narrow(0, 0, 8).mean().item<float>(), terms.kl.item<float>(), 1e-5);
  EXPECT_NEAR(-scores.log_probability.narrow(0, 0, 8).mean().item<float>(),
              terms.student_nll.item<float>(), 1e-5);
  EXPECT_EQ(scores.log_probability[8].item<float>(), 0);
}

TEST_F(TaskLossTest, OfAnAnswerItsTokensAloneCount) {
  const TestBench bench(folder_, {.packed = false});
  const at::Tensor a = at::randn({9, 32}), b = at::randn({9, 32});
  const at::Tensor ids = at::arange(9, at::kLong).mul(5).remainder(64);
  const at::Tensor scores = model::token_scores(bench.model(), a, b, ids).log_probability;
  constexpr std::array<int64_t, 3> kAnswer{4, 6, 8};
  const TaskWeights weights{.kl = 0, .answer = 2, .answer_tokens = kAnswer};
  const TaskTerms terms = task_terms(bench.model(), a, b, ids, weights, true);
  // Tokens 4, 6 and 8 are predicted at 3, 5 and 7.
  const at::Tensor predicted = at::tensor({3, 5, 7}, at::kLong);
  EXPECT_NEAR(-scores.index_select(0, predicted).mean().item<float>(),
              terms.answer_nll.item<float>(), 1e-5);
  EXPECT_NE(terms.teacher_answer_nll.item<float>(), terms.answer_nll.item<float>());
  const at::Tensor size = terms.gradient.abs().sum(1);
  EXPECT_GT(size.index_select(0, predicted).min().item<float>(), 0);
  EXPECT_EQ(size.index_fill(0, predicted, 0).sum().item<float>(), 0);
  const at::Tensor along = at::randn_like(a).mul_(1e-2);
  const auto loss = [&](double step) {
    return 2 * task_terms(bench.model(), a + along * step, b, ids, weights, false)
                   .answer_nll.item<double>();
  };
  EXPECT_NEAR((terms.gradient * along).sum().item<double>(), (loss(1) - loss(-1)) / 2, 1e-4);
  const TaskTerms none = task_terms(bench.model(), a, b, ids, {}, false);
  EXPECT_EQ(none.answer_nll.item<float>(), 0);
}

}  // namespace
}  // namespace dsrasq::train
