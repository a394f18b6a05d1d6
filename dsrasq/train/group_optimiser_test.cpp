#include "dsrasq/train/group_optimiser.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace dsrasq::train {
namespace {

// Two groups that go towards 1.
struct Groups {
  Groups() : one(at::zeros({2, 3})), other(at::full({1, 4}, 3.0f)) {
    optimiser = std::make_unique<GroupOptimiser>(std::vector<OptimisedGroup>{
        {one, one_gradient, {.clip = 0}}, {other, other_gradient, {.weight_decay = 0.1}}});
  }
  void step(double one_rate, double other_rate) {
    one_gradient.copy_(one - 1);
    other_gradient.copy_(other - 1);
    ProcessGroup alone;
    optimiser->step(alone, {one_rate, other_rate}, at::zeros({1}));
  }

  at::Tensor one, other;
  at::Tensor one_gradient = at::zeros({2, 3}), other_gradient = at::zeros({1, 4});
  std::unique_ptr<GroupOptimiser> optimiser;
};

TEST(GroupOptimiserTest, GoesOnFromWhatWasSavedAsIfItHadNeverStopped) {
  Groups unbroken, stopped, resumed;
  for (int i = 0; i < 8; ++i) unbroken.step(0.1, i < 3 ? 0 : 0.05);
  for (int i = 0; i < 5; ++i) stopped.step(0.1, i < 3 ? 0 : 0.05);
  TrainingState state;
  stopped.optimiser->save(state);
  EXPECT_EQ(state.parameters.sizes(), (at::IntArrayRef{1, 10}));
  resumed.optimiser->load(state, {5, 2});
  for (int i = 5; i < 8; ++i) resumed.step(0.1, 0.05);
  EXPECT_TRUE(resumed.one.equal(unbroken.one));
  EXPECT_TRUE(resumed.other.equal(unbroken.other));
  EXPECT_GT(unbroken.one.min().item<float>(), 0.5);
}

TEST(GroupOptimiserTest, AGroupWithoutALearningRateStays) {
  Groups groups;
  groups.step(0, 0.1);
  EXPECT_EQ(groups.one.abs().max().item<float>(), 0);
  EXPECT_LT(groups.other.max().item<float>(), 3);
}

}  // namespace
}  // namespace dsrasq::train
