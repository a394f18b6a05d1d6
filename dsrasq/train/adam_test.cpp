#include "dsrasq/train/adam.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

namespace dsrasq::train {
namespace {

TEST(Adam, FollowsTheRecurrenceOfThePaper) {
  const AdamOptions options{.clip = 0};
  at::Tensor parameters = at::ones({1, 1});
  AdamState state(parameters);
  double p = 1, m = 0, v = 0;
  for (int t = 1; t <= 5; ++t) {
    const double g = 0.3 * t - 0.7;
    m = 0.9 * m + 0.1 * g;
    v = 0.98 * v + 0.02 * g * g;
    p -= 0.01 * (m / (1 - std::pow(0.9, t))) /
         (std::sqrt(v / (1 - std::pow(0.98, t))) + options.epsilon);
    const at::Tensor gradient = at::full({1, 1}, g);
    adam_step(parameters, gradient, row_norms(gradient), 0.01, options, state);
    EXPECT_NEAR(parameters.item<double>(), p, 1e-6) << t;
  }
  EXPECT_EQ(state.steps, 5);
}

TEST(Adam, ClipsEachRowByItself) {
  at::Tensor parameters = at::zeros({2, 2});
  AdamState state(parameters);
  const at::Tensor gradient = at::tensor({30.0f, 40.0f, 0.3f, 0.4f}).view({2, 2});
  adam_step(parameters, gradient, row_norms(gradient), 1, {.clip = 1}, state);
  EXPECT_TRUE(at::allclose(state.first, 0.1 * at::tensor({0.6f, 0.8f, 0.3f, 0.4f}).view({2, 2})));
}

TEST(LearningRate, RisesThenFallsToTwoPercent) {
  EXPECT_NEAR(learning_rate(0, 1000, 50, 3e-3), 3e-3 / 50, 1e-12);
  EXPECT_NEAR(learning_rate(49, 1000, 50, 3e-3), 3e-3, 1e-12);
  EXPECT_NEAR(learning_rate(525, 1000, 50, 3e-3), 3e-3 * 0.51, 1e-9);
  EXPECT_NEAR(learning_rate(1000, 1000, 50, 3e-3), 6e-5, 1e-12);
  EXPECT_NEAR(learning_rate(5000, 1000, 50, 3e-3), 6e-5, 1e-12);
}

}  // namespace
}  // namespace dsrasq::train
