#include "dsrasq/train/gca_retrieval.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace dsrasq::train {
namespace {

constexpr int64_t kBatch = 2, kChunks = 5, kWidth = 6, kHeads = 2, kSize = 4, kDim = 3;
constexpr double kScale = 0.6;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }
at::Tensor landmarks() { return random({kBatch, kChunks, kWidth}).mul_(2); }
at::Tensor chunks() { return random({kBatch, kChunks, kHeads, kSize, kDim}); }

TEST(PickChunks, TakesTheBestOfTheEarlierOnes) {
  at::manual_seed(1);
  const at::Tensor queries = landmarks(), keys = landmarks();
  const ChunkPicks picks = pick_chunks(queries, keys, 3, {});
  ASSERT_EQ(picks.index.sizes(), (std::vector<int64_t>{kBatch, kChunks, 3}));
  for (int64_t b = 0; b < kBatch; ++b)
    for (int64_t n = 0; n < kChunks; ++n) {
      std::vector<std::pair<double, int64_t>> all;
      for (int64_t c = 0; c <= n; ++c)
        all.emplace_back((queries[b][n] * keys[b][c]).sum().item<double>() / std::sqrt(kWidth), c);
      std::sort(all.rbegin(), all.rend());
      double mass = 0;
      const auto n_read = std::min<int64_t>(3, n + 1);
      for (int64_t i = 0; i < n_read; ++i) mass += std::exp(all[static_cast<size_t>(i)].first);
      for (int64_t i = 0; i < 3; ++i) {
        const double weight = picks.weight[b][n][i].item<double>();
        if (i >= n_read) {
          EXPECT_EQ(weight, 0);
          continue;
        }
        const auto& [score, chunk] = all[static_cast<size_t>(i)];
        EXPECT_EQ(picks.index[b][n][i].item<int64_t>(), chunk);
        EXPECT_NEAR(weight, std::exp(score) / mass, 1e-12);
      }
    }
}

TEST(PickChunks, NoiseChoosesAndDoesNotWeigh) {
  at::manual_seed(2);
  const at::Tensor queries = landmarks(), keys = landmarks();
  const ChunkPicks all = pick_chunks(queries, keys, kChunks, {});
  // So much for chunk 1 that every query that may picks it; what is not there stays away.
  at::Tensor noise = at::zeros({kBatch, kChunks, kChunks});
  noise.select(2, 1).fill_(1e3);
  noise.select(2, 4).fill_(1e6);
  const ChunkPicks picks = pick_chunks(queries, keys, 2, noise);
  const at::Tensor scores = queries.matmul(keys.transpose(1, 2)) / std::sqrt(kWidth);
  for (int64_t b = 0; b < kBatch; ++b)
    for (int64_t n = 1; n < kChunks - 1; ++n) {
      EXPECT_EQ(picks.index[b][n][0].item<int64_t>(), 1);
      const auto other = picks.index[b][n][1].item<int64_t>();
      EXPECT_LE(other, n);
      const double difference = (scores[b][n][1] - scores[b][n][other]).item<double>();
      EXPECT_NEAR(picks.weight[b][n][0].item<double>(), 1 / (1 + std::exp(-difference)), 1e-12);
    }
}

TEST(RetrievedChunks, EachChunkIsReadByItselfWithTheSoftmaxPlusOne) {
  at::manual_seed(3);
  const ChunkPicks picks = pick_chunks(landmarks(), landmarks(), 2, {});
  at::Tensor keys = chunks(), values = chunks();
  keys.select(3, kSize - 1).zero_();
  values.select(3, kSize - 1).zero_();
  const at::Tensor q = random({kBatch * kChunks, kHeads, kSize, kDim});
  const at::Tensor read = RetrievedChunks(picks, keys, values).attend(q, kScale);
  for (int64_t n = 0; n < kBatch * kChunks; ++n)
    for (int64_t h = 0; h < kHeads; ++h)
      for (int64_t s = 0; s < kSize; ++s) {
        at::Tensor wanted = at::zeros({kDim}, at::kDouble);
        for (int64_t i = 0; i < 2; ++i) {
          const int64_t b = n / kChunks, chunk = picks.index[b][n % kChunks][i].item<int64_t>();
          double mass = 1;
          at::Tensor sum = at::zeros({kDim}, at::kDouble);
          for (int64_t t = 0; t + 1 < kSize; ++t) {
            const double e =
                std::exp(kScale * (q[n][h][s] * keys[b][chunk][h][t]).sum().item<double>());
            mass += e;
            sum += values[b][chunk][h][t] * e;
          }
          wanted += sum / mass * picks.weight[b][n % kChunks][i];
        }
        EXPECT_TRUE(read[n][h][s].allclose(wanted, 1e-10, 1e-12)) << n << ' ' << h << ' ' << s;
      }
}

TEST(RetrievedChunks, TheGradientOfTheWeightsReachesQueriesAndLandmarks) {
  at::manual_seed(4);
  const at::Tensor keys = chunks(), values = chunks(),
                   q = random({kBatch * kChunks, kHeads, kSize, kDim});
  const at::Tensor along = at::randn_like(q);
  const auto loss = [&](const at::Tensor& queries, const at::Tensor& landmarks) {
    const ChunkPicks picks = pick_chunks(queries, landmarks, 2, {});
    return (RetrievedChunks(picks, keys, values).attend(q, kScale) * along).sum();
  };
  std::vector<at::Tensor> inputs{landmarks().requires_grad_(true),
                                 landmarks().requires_grad_(true)};
  loss(inputs[0], inputs[1]).backward();
  for (size_t i = 0; i < inputs.size(); ++i)
    for (int direction = 0; direction < 3; ++direction) {
      constexpr double kStep = 1e-6;  // so small that the picks stay
      const at::Tensor step = at::randn_like(inputs[i]).detach() * kStep;
      const auto moved = [&](double sign) {
        std::vector<at::Tensor> there{inputs[0].detach(), inputs[1].detach()};
        there[i] = there[i] + step * sign;
        return loss(there[0], there[1]).item<double>();
      };
      const double wanted = (moved(1) - moved(-1)) / 2;
      const double got = (inputs[i].grad() * step).sum().item<double>();
      EXPECT_GT(std::abs(wanted), 1e-3 * kStep);
      EXPECT_NEAR(got / wanted, 1, 1e-5) << i;
    }
}

}  // namespace
}  // namespace dsrasq::train
