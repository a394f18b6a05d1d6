#include "dsrasq/train/size_cost.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <utility>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/model/token_score.h"
#include "dsrasq/train/joint_test_bench.h"
#include "dsrasq/train/probe_policy.h"
#include "dsrasq/train/selection_policy.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kTokens = 20, kHeads = 4, kKvHeads = 2, kDim = 3, kSinks = 2, kWindow = 5;

at::Tensor doubles(std::vector<int64_t> sizes) { return at::randn(sizes, at::kDouble); }

// What a query reads of a set of tokens, by plain loops; its product with g.
double gain_of_set(const DenseAttention& a, const at::Tensor& g, int64_t row,
                   const std::set<int64_t>& set) {
  double gain = 0;
  for (int64_t h = 0; h < kHeads; ++h) {
    const int64_t kv = h / (kHeads / kKvHeads);
    double mass = 0, sum = 0;
    for (const int64_t j : set) {
      const double w = std::exp(a.scale * a.q[row][h].dot(a.k[j][kv]).item<double>());
      mass += w;
      sum += w * g[row][h].dot(a.v[j][kv]).item<double>();
    }
    gain += sum / mass;
  }
  return gain;
}

TEST(SizeCost, IsThatOfReadingEachSetByItself) {
  at::manual_seed(11);
  const DenseAttention a{.q = doubles({kTokens, kHeads, kDim}),
                         .k = doubles({kTokens, kKvHeads, kDim}),
                         .v = doubles({kTokens, kKvHeads, kDim}),
                         .scale = 0.7};
  const std::vector<at::Tensor> gradients{doubles({kTokens, kHeads, kDim}),
                                          doubles({kTokens, kHeads, kDim})};
  RankedRows ranked;
  ranked.rows = {at::tensor({9, 19}), 19};
  ranked.best = at::tensor({4, 2, 3, 7, 5, 3, 9, 14, 2, 6}).view({2, 5});
  ranked.seen = at::tensor({1, 1, 1, 0, 0, 1, 1, 1, 1, 1}).to(at::kBool).view({2, 5});
  ranked.sinks = kSinks;
  ranked.window = kWindow;
  const at::Tensor costs = size_costs(a, gradients, ranked);
  ASSERT_EQ(costs.sizes(), (std::vector<int64_t>{2, 2, 6}));
  for (int64_t r = 0; r < 2; ++r) {
    const int64_t row = ranked.rows.positions[r].item<int64_t>();
    std::set<int64_t> all, read;
    for (int64_t j = 0; j <= row; ++j) {
      all.insert(j);
      if (j < kSinks || j > row - kWindow) read.insert(j);
    }
    for (int64_t n = 0; n <= 5; ++n) {
      if (n > 0 && ranked.seen[r][n - 1].item<bool>())
        read.insert(ranked.best[r][n - 1].item<int64_t>());
      for (size_t y = 0; y < 2; ++y) {
        const double change =
            gain_of_set(a, gradients[y], row, read) - gain_of_set(a, gradients[y], row, all);
        EXPECT_NEAR(costs[static_cast<int64_t>(y)][r][n].item<double>(), change * change / 2, 1e-12)
            << "row " << row << ", best " << n;
      }
    }
  }
}

// Full attention, with one layer's output changed.
class ChangedPolicy final : public StretchPolicy {
 public:
  ChangedPolicy(const policy::AttentionShape& shape, AngleCache& angles, int64_t layer,
                at::Tensor change)
      : StretchPolicy("changed"),
        shape_(shape),
        angles_(angles),
        layer_(layer),
        change_(std::move(change)) {}
  at::Tensor attend(const policy::LayerInput& input) override {
    const at::Tensor out = attend_densely(DenseAttention::of(input, shape_, 0, angles_), false);
    return input.layer == layer_ ? out + change_ : out;
  }

 private:
  const policy::AttentionShape& shape_;
  AngleCache& angles_;
  int64_t layer_;
  at::Tensor change_;
};

class SizeCostOfModel : public FolderTest {};

TEST_F(SizeCostOfModel, LabelsDrawnFromItPredictTheKlOfASmallChange) {
  const JointBench bench(folder_, at::kDouble);
  const model::Transformer& model = bench.model();
  constexpr int64_t kLength = 24, kPosition = 9, kDraws = 600;
  const at::Tensor ids = at::arange(kLength).mul(7).remainder(61);
  AngleCache angles(at::kCPU);
  for (const int64_t layer : {0, 1}) {
    ProbePolicy probe(model.shape(), 0, angles);
    const at::Tensor states = model.differentiable_forward(ids, probe);
    at::manual_seed(12);
    at::Tensor change = at::zeros_like(probe.layers().at(layer).probe);
    change[kPosition] = at::randn_like(change[kPosition]) * 0.02;
    at::Generator generator = seeded_generator(at::kCPU, 13);
    double predicted = 0;
    for (int64_t draw = 0; draw < kDraws; ++draw) {
      states.backward(label_gradient(model, states.detach(), ids, generator).states, true);
      const double gain = (probe.take_gradients().at(layer) * change).sum().item<double>();
      predicted += gain * gain / 2 / kDraws;
    }
    ChangedPolicy changed(model.shape(), angles, layer, change);
    const auto scores =
        model::token_scores(model, model.forward(ids, changed), states.detach(), ids);
    const double kl = scores.kl.sum().item<double>();
    EXPECT_GT(kl, 1e-9);
    EXPECT_NEAR(predicted, kl, 0.2 * kl) << "layer " << layer;
    EXPECT_NEAR(scores.kl.narrow(0, 0, kPosition).abs().max().item<double>(), 0, 1e-6 * kl);
  }
}

}  // namespace
}  // namespace dsrasq::train
