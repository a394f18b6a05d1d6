#include "dsrasq/train/indexer_loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace dsrasq::train {
namespace {

constexpr int64_t kEmbd = 10, kHeads = 3, kWidth = 6, kTokens = 40, kSinks = 2, kWindow = 7;

struct Problem {
  retriever::IndexerParameters parameters;
  at::Tensor x;
  AttentionTarget target;
};

Problem make_problem() {
  at::manual_seed(3);
  Problem p;
  p.parameters = retriever::Adapter::random(kEmbd, kHeads, kWidth, 5);
  p.parameters.local_bias.fill_(2);
  p.parameters.visit([](const char*, at::Tensor& t) {
    t = t.to(at::kDouble) + 0.1 * at::randn(t.sizes(), at::kDouble);
  });
  p.x = at::randn({kTokens, kEmbd}, at::kDouble);
  p.target.rows = at::tensor(std::vector<int64_t>{12, 20, 33, 39}, at::kLong);
  p.target.first = kSinks;
  p.target.window = kWindow;
  const int64_t n = 39 - kWindow + 1 - kSinks;
  const at::Tensor position = at::arange(kSinks, kSinks + n).unsqueeze(0);
  const at::Tensor seen = position <= (p.target.rows - kWindow).unsqueeze(1);
  const at::Tensor raw = at::rand({4, n}, at::kDouble).pow(3) * seen.to(at::kDouble);
  p.target.mass =
      raw / raw.sum(1, true) * at::tensor({0.6, 0.1, 0.3, 0.9}).to(at::kDouble).unsqueeze(1);
  return p;
}

retriever::IndexerParameters zeros_like(retriever::IndexerParameters p) {
  p.visit([](const char*, at::Tensor& t) { t = at::zeros_like(t); });
  return p;
}

double loss_of(const Problem& p, const LossOptions& options) {
  return estimate_attention(p.parameters, p.x, p.target, options).loss.item<double>();
}

TEST(IndexerLoss, GradientsAgreeWithFiniteDifferencesInDouble) {
  Problem p = make_problem();
  const LossOptions options{.n_heads = kHeads, .fake_quantise = false, .conditional_weight = 0.3};
  retriever::IndexerParameters gradient = zeros_like(p.parameters);
  const double weight = 1.5, epsilon = 1e-6;
  indexer_loss(p.parameters, p.x, p.target, options, weight, gradient);

  std::vector<std::pair<std::string, at::Tensor>> gradients;
  gradient.visit([&](const char* name, at::Tensor& t) { gradients.emplace_back(name, t); });
  size_t which = 0;
  p.parameters.visit([&](const char*, at::Tensor& t) {
    const auto& [name, g] = gradients[which++];
    double* values = t.mutable_data_ptr<double>();
    for (int64_t i = 0; i < t.numel(); ++i) {
      const double kept = values[i];
      values[i] = kept + epsilon;
      const double up = loss_of(p, options);
      values[i] = kept - epsilon;
      const double down = loss_of(p, options);
      values[i] = kept;
      const double want = weight * (up - down) / (2 * epsilon);
      EXPECT_NEAR(g.view(-1)[i].item<double>(), want, 1e-6 + 1e-5 * std::abs(want))
          << name << " " << i;
    }
  });
  EXPECT_EQ(which, 8u);
}

TEST(IndexerLoss, GradientsAddUpOverCalls) {
  const Problem p = make_problem();
  const LossOptions options{.n_heads = kHeads};
  retriever::IndexerParameters once = zeros_like(p.parameters), twice = zeros_like(p.parameters);
  indexer_loss(p.parameters, p.x, p.target, options, 1, once);
  indexer_loss(p.parameters, p.x, p.target, options, 0.5, twice);
  indexer_loss(p.parameters, p.x, p.target, options, 0.5, twice);
  EXPECT_TRUE(at::allclose(once.query, twice.query));
  EXPECT_TRUE(at::allclose(once.key, twice.key));
}

TEST(IndexerLoss, IsTheDivergenceWrittenOutFromItsDefinition) {
  const Problem p = make_problem();
  const LossOptions options{.n_heads = kHeads, .fake_quantise = false};
  const auto& w = p.parameters;
  double total = 0;
  for (int64_t r = 0; r < 4; ++r) {
    const int64_t i = p.target.rows[r].item<int64_t>();
    const at::Tensor q = w.query.matmul(p.x[i]).view({kHeads, kWidth});
    const at::Tensor heads = w.head_weight.matmul(p.x[i]) + w.head_bias;
    const double nu = (w.local.matmul(p.x[i]) + w.local_bias).item<double>();
    std::vector<double> e;
    double sum = std::exp(nu), far = 0;
    for (int64_t j = kSinks; j <= i - kWindow; ++j) {
      const at::Tensor c =
          at::layer_norm(w.key.matmul(p.x[j]), {kWidth}, w.norm_weight, w.norm_bias, 1e-5);
      e.push_back(std::exp((heads * q.matmul(c).relu()).sum().item<double>()));
      sum += e.back();
    }
    for (size_t j = 0; j < e.size(); ++j) {
      const double m = p.target.mass[r][static_cast<int64_t>(j)].item<double>();
      far += m;
      if (m > 0) total += m * std::log(m / (e[j] / sum));
    }
    total += (1 - far) * std::log((1 - far) / (std::exp(nu) / sum));
  }
  EXPECT_NEAR(loss_of(p, options), total / 4, 1e-9);
}

TEST(IndexerLoss, IsZeroOnlyWhereTheEstimateIsRight) {
  Problem p = make_problem();
  const LossOptions options{.n_heads = kHeads, .fake_quantise = false};
  EXPECT_GT(loss_of(p, options), 0.01);
  // The indexer's own estimate as the target.
  const at::Tensor z = estimate_attention(p.parameters, p.x, p.target, options).scores;
  const at::Tensor nu =
      p.x.index_select(0, p.target.rows).matmul(p.parameters.local.t()) + p.parameters.local_bias;
  p.target.mass = (z - at::logaddexp(z.logsumexp({1}, true), nu)).exp();
  EXPECT_NEAR(loss_of(p, options), 0, 1e-9);
}

TEST(FakeQuantised, RoundsToTheCodesOfInferenceRowByRow) {
  const at::Tensor x =
      at::tensor(std::vector<double>{12.7, 0.24, -0.26, 0, 0, 0}, at::kDouble).view({2, 3});
  const at::Tensor y = fake_quantised(x, 127);
  EXPECT_NEAR(y[0][0].item<double>(), 12.7, 1e-12);
  EXPECT_NEAR(y[0][1].item<double>(), 0.2, 1e-12);
  EXPECT_NEAR(y[0][2].item<double>(), -0.3, 1e-12);
  EXPECT_EQ(y[1].abs().max().item<double>(), 0);
}

TEST(CapturedMass, CountsWhatTheBestScoresCarryAndWhatTheBestPossibleWould) {
  const at::Tensor scores = at::tensor({3.0f, 1.0f, 2.0f}).view({1, 3});
  const at::Tensor mass = at::tensor({0.1f, 0.4f, 0.2f}).view({1, 3});
  const at::Tensor got = captured_mass(scores, mass, 2);
  EXPECT_NEAR(got[0].item<float>(), 0.3, 1e-6);
  EXPECT_NEAR(got[1].item<float>(), 0.6, 1e-6);
  EXPECT_NEAR(got[2].item<float>(), 0.7, 1e-6);
}

}  // namespace
}  // namespace dsrasq::train
