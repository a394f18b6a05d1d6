#include "dsrasq/train/lm_run.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/policy/full_policy.h"
#include "dsrasq/train/adam.h"
#include "dsrasq/train/lm_folder.h"
#include "dsrasq/train/lm_test_bench.h"

namespace dsrasq::train {
namespace {

class LmRunTest : public FolderTest {};

// On a text without a pattern; everything in fp64, or as on a GPU.
struct ExactRun {
  ExactRun(const LmBench& bench, const LmTrainOptions& o, at::ScalarType type = at::kDouble,
           at::ScalarType dtype = at::kDouble, const char* data = "noise")
      : options(o),
        cache(bench.path(data)),
        sampler(cache, nullptr, {.length = o.length, .long_share = 0, .seed = o.seed}),
        model(options, 256, at::kCPU, type),
        run(model, options, sampler, processes, at::kCPU, dtype) {
    // Weights as small as a training's first ones leave most gradients in the noise.
    model.matrices().matrix().mul_(8);
  }
  double nll() { return run.accumulate(0)[kLmNll].item<double>(); }

  LmTrainOptions options;
  TokenCache cache;
  StretchSampler sampler;
  LmModel model;
  ProcessGroup processes;
  LmRun run;
};

TEST_F(LmRunTest, GradientsAreThoseOfFiniteDifferences) {
  const LmBench bench(folder_);
  for (const char* attention : {"dsrasq", "full", "gca"})
    for (const bool tied : {true, false}) {
      LmTrainOptions options = bench.options("a", attention);
      options.tied = tied;
      options.batch = 3;
      options.fake_quantise = false;
      options.tokens_at_once = 128;  // two passes for a step
      ExactRun exact(bench, options);
      exact.nll();
      for (ParameterBank* bank : {&exact.model.matrices(), &exact.model.norms()}) {
        const at::Tensor gradient = bank->gradient().clone(), before = bank->matrix().clone();
        for (uint64_t direction = 0; direction < 3; ++direction) {
          at::manual_seed(direction);
          const at::Tensor along = at::randn_like(before);
          constexpr double kStep = 1e-8;  // so small that the picks stay
          bank->matrix().copy_(before + kStep * along);
          const double above = exact.nll();
          bank->matrix().copy_(before - kStep * along);
          const double wanted = (above - exact.nll()) / (2 * kStep);
          bank->matrix().copy_(before);
          EXPECT_NEAR((gradient * along).sum().item<double>(), wanted,
                      1e-5 * (1 + std::abs(wanted)))
              << attention << ' ' << tied;
        }
      }
    }
}

TEST_F(LmRunTest, ProductsInBfloat16GiveAboutTheSameGradients) {
  const LmBench bench(folder_);
  for (const char* attention : {"dsrasq", "full", "gca"}) {
    // Less than what is there is picked nowhere, so that no rounding picks something else.
    LmTrainOptions options = bench.options("a", attention);
    options.top_k = options.chunk_top_k = 64;
    ExactRun exact(bench, options), half(bench, options, at::kFloat, at::kBFloat16);
    const at::Tensor metrics = half.run.accumulate(0);
    EXPECT_EQ(metrics.scalar_type(), at::kFloat);
    EXPECT_NEAR(metrics[kLmNll].item<double>(), exact.nll(), 0.02);
    const auto angle = [](const at::Tensor& a, const at::Tensor& b) {
      return at::cosine_similarity(a.to(at::kDouble), b.to(at::kDouble)).min().item<double>();
    };
    EXPECT_GT(angle(half.model.matrices().gradient(), exact.model.matrices().gradient()), 0.99);
    EXPECT_GT(angle(half.model.norms().gradient(), exact.model.norms().gradient()), 0.99);
    if (options.is_sparse()) {
      EXPECT_GT(
          angle(half.model.indexer_gradient().matrix(), exact.model.indexer_gradient().matrix()),
          0.98);
    }
    EXPECT_NEAR(half.run.score() / exact.run.score(), 1, 0.02);
  }
}

TEST_F(LmRunTest, OnlyTheIndexersLossTeachesThem) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("a");
  ExactRun exact(bench, options);
  const double kl = exact.run.accumulate(0)[kLmRetriever].item<double>();
  const at::Tensor gradient = exact.model.indexer_gradient().matrix().clone();
  const at::Tensor weights = exact.model.matrices().gradient().clone();
  EXPECT_GT(gradient.abs().amax({1}).min().item<double>(), 0);  // of both layers
  // A step down is a step down for the KL, which does not touch the model.
  exact.model.indexers()->matrix().sub_(gradient, 0.1);
  EXPECT_LT(exact.run.accumulate(0)[kLmRetriever].item<double>(), kl);
  exact.model.indexers()->matrix().add_(gradient, 0.1);
  options.index_stretches = 1;
  ExactRun fewer(bench, options);
  fewer.run.accumulate(0);
  EXPECT_TRUE(fewer.model.matrices().gradient().equal(weights));
}

TEST_F(LmRunTest, NoiseOfGroupedCrossAttentionIsThatOfItsStepAndItsStretch) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("a", "gca");
  options.chunk_top_k = 1;
  ExactRun exact(bench, options);
  const double nll = exact.nll(), other = exact.run.accumulate(1)[kLmNll].item<double>();
  EXPECT_NE(nll, other);
  EXPECT_EQ(exact.nll(), nll);
  // However the batch is cut.
  options.tokens_at_once = options.length;
  ExactRun cut(bench, options);
  EXPECT_NEAR(cut.nll(), nll, 1e-9);
  EXPECT_EQ(exact.run.score(), exact.run.score());
}

// Every other token is a letter that is the text's own. A token sees no other but by retrieval, and
// the first two chunks have nothing to retrieve.
TEST_F(LmRunTest, GroupedCrossAttentionLearnsToCopy) {
  const LmBench bench(folder_);
  constexpr int32_t kLetters = 8;
  std::vector<std::vector<int32_t>> texts(32 * kLetters);
  for (size_t d = 0; d < texts.size(); ++d)
    for (int32_t i = 0; i < 64; ++i)
      texts[d].push_back(i % 2 == 0 ? '!' : 'a' + static_cast<int32_t>(d) % kLetters);
  write_token_cache(folder_ / "letters", bench.tokenizer().fingerprint(), "letters", texts);
  LmTrainOptions options = bench.options("a", "gca");
  options.window = 1;
  ExactRun exact(bench, options, at::kFloat, at::kFloat, "letters");
  at::Tensor& weights = exact.model.matrices().matrix();
  AdamState adam(weights);
  double nll = 0;
  for (int64_t step = 0; step < 200; ++step) {
    const double now = exact.run.accumulate(step)[kLmNll].item<double>();
    nll = step < 180 ? 0 : nll + now / 20;
    const at::Tensor& gradient = exact.model.matrices().gradient();
    adam_step(weights, gradient, row_norms(gradient), 1e-2, {}, adam);
  }
  const double letter = std::log(kLetters) / (options.length - 1);
  EXPECT_GT(nll, 6 * letter);   // of the 7 in the first two chunks
  EXPECT_LT(nll, 16 * letter);  // half of those of a model that retrieves nothing
}

TEST_F(LmRunTest, TheDecoderStartsFromTheSameWeightsWithEveryAttention) {
  const LmBench bench(folder_);
  const LmModel gca(bench.options("a", "gca"), 256, at::kCPU);
  const LmModel full(bench.options("b", "full"), 256, at::kCPU);
  const auto with = gca.weights();
  for (const auto& [name, weight] : full.weights())
    EXPECT_TRUE(with.at(name).equal(weight)) << name;
  EXPECT_GT(gca.count(), full.count());
}

TEST_F(LmRunTest, TheWrittenFolderIsReadBackWithTheSameLogits) {
  const LmBench bench(folder_);
  for (const bool tied : {true, false}) {
    LmTrainOptions options = bench.options(tied ? "tied" : "untied", "full");
    options.tied = tied;
    options.context = 128;
    LmModel model(options, 256, at::kCPU);
    model.norms().matrix().add_(at::randn_like(model.norms().matrix()), 0.1);
    const std::string fingerprint = write_model_folder(options.output, model, "f32",
                                                       bench.tokenizer(), bench.path("tokenizer"));
    const auto checkpoint = checkpoint::Checkpoint::open(options.output);
    EXPECT_EQ(checkpoint->fingerprint(), fingerprint);
    EXPECT_EQ(checkpoint->config().context_length, 128);
    const model::Transformer read(*checkpoint, {.packed = false});
    const model::Transformer own = model.transformer(at::kFloat);
    const at::Tensor ids = at::arange(40, at::kLong).mul(37).remainder(256);
    policy::FullPolicy one(read.shape()), other(own.shape());
    const at::Tensor logits = read.logits(read.forward(ids, one));
    EXPECT_TRUE(logits.equal(own.logits(own.forward(ids, other))));
    EXPECT_GT(logits.std().item<double>(), 0.01);
  }
}

}  // namespace
}  // namespace dsrasq::train
