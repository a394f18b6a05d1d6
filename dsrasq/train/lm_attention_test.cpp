#include "dsrasq/train/lm_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

#include "dsrasq/train/student_attention.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kStretches = 3, kTokens = 150, kWidth = 24;

// Random input of a layer, for a batch of stretches.
struct Layer {
  Layer() : indexers({kWidth, 2, 16}, {0}, at::kCPU), angles(at::kCPU) {
    at::manual_seed(5);
    indexers.randomise(3);
    shape.n_layers = 1;
    shape.layers.push_back({0, 0.7, ops::Rope({1.0, 0.3, 0.1, 0.02})});
    const int64_t n = kStretches * kTokens;
    input = {.layer = 0,
             .x = at::randn({n, kWidth}),
             .q = at::randn({n, 4, 8}),
             .k = at::randn({n, 2, 8}),
             .v = at::randn({n, 2, 8})};
  }
  // Of one stretch by itself.
  policy::LayerInput of(int64_t i) const {
    const auto own = [i](const at::Tensor& t) { return t.narrow(0, i * kTokens, kTokens); };
    return {0, own(input.x), own(input.q), own(input.k), own(input.v)};
  }

  policy::AttentionShape shape;
  policy::LayerInput input;
  IndexerBank indexers;
  AngleCache angles;
};

const LmAttention kOptions{.length = kTokens, .window = 20, .sinks = 3, .top_k = 6, .n_heads = 2};

TEST(LmAttentionTest, EveryStretchReadsWhatTheStudentReads) {
  Layer layer;
  LmPolicy policy(layer.shape, kOptions, &layer.indexers, layer.angles);
  policy.begin(kStretches * kTokens);
  const at::Tensor out = policy.attend(layer.input);
  const StudentRules rules{.window = 20, .sinks = 3, .top_k = 6};
  for (int64_t i = 0; i < kStretches; ++i) {
    const policy::LayerInput own = layer.of(i);
    const StudentIndex index =
        StudentIndex::of(layer.indexers.indexer(0), at::zeros({1}), own.x, 2, true);
    const StudentRead read =
        attend_sparsely(DenseAttention::of(own, layer.shape, 0, layer.angles), &index, rules);
    EXPECT_LT((out.narrow(0, i * kTokens, kTokens) - read.out).abs().max().item<float>(), 1e-5);
  }
}

TEST(LmAttentionTest, WithoutIndexersEverythingIsRead) {
  Layer layer;
  LmPolicy policy(layer.shape, kOptions, nullptr, layer.angles);
  policy.begin(kStretches * kTokens);
  const at::Tensor out = policy.attend(layer.input);
  for (int64_t i = 0; i < kStretches; ++i) {
    const at::Tensor dense =
        attend_densely(DenseAttention::of(layer.of(i), layer.shape, 0, layer.angles), false);
    EXPECT_LT((out.narrow(0, i * kTokens, kTokens) - dense).abs().max().item<float>(), 1e-5);
  }
}

TEST(LmAttentionTest, RowsSeeSinksWindowAndTheirBestWhateverTheChunk) {
  Layer layer;
  const LmIndex index(layer.indexers.indexer(0), layer.input.x, kOptions);
  const at::Tensor all = index.seen(0, kTokens);
  EXPECT_EQ(all.sizes(), (at::IntArrayRef{kStretches, kTokens, kTokens}));
  EXPECT_TRUE(index.seen(70, 110).equal(all.narrow(1, 70, 40).narrow(2, 0, 110)));
  const at::Tensor counts = all.sum(2);
  for (const int64_t i : {0, 10, 22, 25, 40, 149})
    EXPECT_EQ(counts[1][i].item<int64_t>(), std::min<int64_t>(i + 1, 20 + 3 + 6)) << i;
}

}  // namespace
}  // namespace dsrasq::train
