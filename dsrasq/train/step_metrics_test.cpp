#include "dsrasq/train/step_metrics.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::train {
namespace {

std::string last() { return "the last one is of step 1"; }

TEST(StepMetricsTest, MeansRunOverAllStepsAndGoOnFromACheckpoint) {
  StepMetrics metrics("test");
  metrics.go_on_from(8);
  EXPECT_EQ(metrics.loss(), 8);
  EXPECT_EQ(metrics.mean(1), 0);
  metrics.begin_step();
  metrics.add(at::tensor({4.0f, 2.0f}));
  metrics.add(at::tensor({4.0f, 3.0f}));
  metrics.settle(2, 0, last);
  EXPECT_NEAR(metrics.loss(), 4 + 4 * 0.98 * 0.98, 1e-6);
  EXPECT_NEAR(metrics.mean(1), 2.02, 1e-6);
  EXPECT_EQ(metrics.step_seconds(), 0);  // the first ones say little
  metrics.begin_step();
  metrics.add(at::tensor({1.0f, 1.0f, 7.0f}));
  metrics.settle(3, 0, last);
  EXPECT_EQ(metrics.means(), (std::vector<double>{1, 1, 7}));  // of another stage
  EXPECT_GT(metrics.step_seconds(), 0);
  EXPECT_GT(metrics.all_seconds(), metrics.step_seconds());
}

TEST(StepMetricsTest, TheFirstLossThatIsNoNumberIsNamed) {
  StepMetrics metrics("test");
  const float bad = std::numeric_limits<float>::quiet_NaN();
  for (const float loss : {1.0f, bad, 1.0f, bad}) metrics.add(at::tensor({loss}));
  EXPECT_HAS(error_text([&] { metrics.settle(12, 0, last); }, ErrorCode::kStopped),
             "step 9: the loss is nan; the last one is of step 1");
}

}  // namespace
}  // namespace dsrasq::train
