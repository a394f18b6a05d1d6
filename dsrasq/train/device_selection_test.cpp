#include "dsrasq/train/device_selection.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace dsrasq::train {
namespace {

constexpr int64_t kTokens = 900, kEmbd = 96, kIndexHeads = 4;

// The parts of an index that gradients reach, as leaves.
StudentIndex leaves_of(const StudentIndex& index, at::Device device) {
  StudentIndex copy = index;
  for (at::Tensor* t : {&copy.query, &copy.key, &copy.weight, &copy.local, &copy.threshold})
    *t = t->detach().to(device).clone().requires_grad_(true);
  return copy;
}

StudentIndex random_index() {
  at::manual_seed(5);
  retriever::IndexerParameters p = retriever::Adapter::random(kEmbd, kIndexHeads, 32, 3);
  p.head_bias.fill_(9);  // positive weights: no scores of 0 that many share
  p.local_bias.fill_(30);
  return StudentIndex::of(p, at::full({1}, -5.0), at::randn({kTokens, kEmbd}), kIndexHeads, true);
}

class DeviceSelection : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  }
};

TEST_F(DeviceSelection, PicksAndDifferentiatesAsThePlainWay) {
  const StudentIndex index = random_index();
  const PoolRows all{.begin = 300, .end = kTokens, .sinks = 4, .window = 64};
  PoolRows limited = all;
  limited.pool = 150;
  for (const PoolRows& rows : {all, limited}) {
    StudentIndex host = leaves_of(index, at::kCPU), device = leaves_of(index, at::kCUDA);
    const StudentRules rules{.window = rows.window, .sinks = rows.sinks, .top_k = 40};
    ASSERT_TRUE(best_on_device(device, rows, rules.top_k).has_value());
    const Selection want = select_tokens(host, rows, rules);
    const Selection got = select_tokens(device, rows, rules);
    EXPECT_EQ(got.count.item<int64_t>(), want.count.item<int64_t>());
    const at::Tensor same_rows = (got.columns.cpu() == want.columns).all(1);
    EXPECT_GT(same_rows.to(at::kFloat).mean().item<double>(), 0.98) << "pool " << rows.pool;
    const at::Tensor difference = (got.log_ratio.cpu() - want.log_ratio)
                                      .abs()
                                      .masked_fill(same_rows.logical_not().unsqueeze(1), 0);
    EXPECT_LT(difference.max().item<double>(), 1e-3);
    const at::Tensor picked = (want.columns < rows.n_columns()).to(at::kFloat);
    (want.log_ratio * picked).sum().backward();
    (got.log_ratio * picked.to(at::kCUDA)).sum().backward();
    const auto expect_close = [](const at::Tensor& a, const at::Tensor& b, const char* what) {
      EXPECT_LE((a.cpu() - b).norm().item<double>(), 0.03 * b.norm().item<double>() + 1e-6) << what;
    };
    expect_close(device.query.grad(), host.query.grad(), "query");
    expect_close(device.key.grad(), host.key.grad(), "key");
    expect_close(device.weight.grad(), host.weight.grad(), "weight");
    expect_close(device.local.grad(), host.local.grad(), "local");
  }
}

TEST_F(DeviceSelection, LeavesToThePlainWayWhatItDoesNotKnow) {
  const PoolRows rows{.begin = 300, .end = kTokens, .sinks = 4, .window = 64};
  EXPECT_FALSE(best_on_device(random_index(), rows, 40).has_value()) << "on the CPU";
  StudentIndex exact = leaves_of(random_index(), at::kCUDA);
  exact.is_rounded = false;
  EXPECT_FALSE(best_on_device(exact, rows, 40).has_value());
}

}  // namespace
}  // namespace dsrasq::train

// LibTorch 2.11 with CUDA may abort in its own global destructors, after the last test.
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  std::fflush(nullptr);
  std::_Exit(result);
}
