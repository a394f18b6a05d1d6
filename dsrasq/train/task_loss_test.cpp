#include "dsrasq/train/task_loss.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace dsrasq::train
