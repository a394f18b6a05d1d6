#include "dsrasq/train/lm_trainer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/model/transformer.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/gca_folder.h"
#include "dsrasq/train/gca_model.h"
#include "dsrasq/train/lm_loss.h"
#include "dsrasq/train/lm_test_bench.h"
#include "dsrasq/train/stretch_sampler.h"
#include "dsrasq/train/test_stopped_training.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

class LmTrainerTest : public FolderTest {};

// The perplexity of the trainer's held-out text by the written files, on the CPU's own kernels.
double perplexity_by_inference(const LmBench& bench, const LmTrainOptions& options) {
  const auto checkpoint = checkpoint::Checkpoint::open(options.output);
  const model::Transformer model(*checkpoint, model::LoadOptions{});
  const bool is_sparse = options.is_sparse();
  std::optional<retriever::Adapter> adapter;
  if (is_sparse)
    adapter = retriever::Adapter::load(fs::path(options.output) / "adapter.safetensors");
  const policy::PolicyOptions policy{.name = is_sparse ? "dsrasq" : "full",
                                     .window = options.window,
                                     .sinks = options.sinks,
                                     .top_k = options.top_k,
                                     .pool = 1024,
                                     .block = 16};
  const TokenCache cache(options.data);
  const StretchSampler sampler(cache, nullptr,
                               {.length = options.length, .long_share = 0, .seed = options.seed});
  double nll = 0;
  for (int64_t i = 0; i < options.eval_stretches; ++i) {
    const at::Tensor ids = at::tensor(sampler.held_out(i, false).ids, at::kInt).to(at::kLong);
    const auto memory = policy::make_policy(policy, model.shape(), adapter ? &*adapter : nullptr);
    std::vector<at::Tensor> states;
    for (int64_t done = 0; done < ids.size(0);) {
      const int64_t n = memory->admit(ids.size(0) - done);
      states.push_back(model.forward(ids.narrow(0, done, n), *memory));
      done += n;
    }
    const at::Tensor likely = model.logits(at::cat(states)).log_softmax(1);
    nll -= likely.narrow(0, 0, ids.size(0) - 1)
               .gather(1, ids.narrow(0, 1, ids.size(0) - 1).unsqueeze(1))
               .mean()
               .item<double>();
  }
  EXPECT_EQ(text::load_tokenizer(options.output)->fingerprint(), bench.tokenizer().fingerprint());
  if (adapter) {
    EXPECT_EQ(adapter->base_fingerprint, checkpoint->fingerprint());
    EXPECT_EQ(adapter->d_max, options.length);
  }
  return std::exp(nll / static_cast<double>(options.eval_stretches));
}

TEST_F(LmTrainerTest, ARepeatingTextIsLearnedAndTheFilesPredictWhatTheTrainerPredicted) {
  const LmBench bench(folder_);
  for (const char* attention : {"dsrasq", "full"}) {
    LmTrainOptions options = bench.options(attention, attention);
    options.steps = 120;
    const LmResult result = train_lm(bench.input(), options);
    EXPECT_EQ(result.steps, 120);
    EXPECT_EQ(result.tokens, 120 * 4 * 64);
    // Uniform: 256; of the letters alone: 23.
    EXPECT_LT(result.perplexity, 3) << attention;
    EXPECT_NEAR(perplexity_by_inference(bench, options) / result.perplexity, 1, 0.02) << attention;
    EXPECT_EQ(result.adapter.empty(), !options.is_sparse());
    EXPECT_EQ(fs::exists(fs::path(options.output) / "adapter.safetensors"), options.is_sparse());
  }
}

TEST_F(LmTrainerTest, TheIndexersLearnWhereTheModelLooks) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("a");
  options.steps = 60;
  double first = 0;
  int at_the_end = 0;  // the last report, then the evaluation
  const LmResult result = train_lm(bench.input(), options, [&](const LmProgress& progress) {
    if (progress.step == 10) first = progress.retriever_kl;
    EXPECT_EQ(progress.steps, 60);
    EXPECT_EQ(progress.perplexity > 0, progress.step == 60 && ++at_the_end > 1);
  });
  EXPECT_GT(first, 0);
  EXPECT_LT(result.retriever_kl, 0.7 * first);
}

TEST_F(LmTrainerTest, BothKindsOfAttentionReadTheSameTextFromTheSameWeights) {
  const LmBench bench(folder_);
  LmTrainOptions sparse = bench.options("a"), full = bench.options("b", "full");
  // With everything picked they are the same computation.
  for (LmTrainOptions* o : {&sparse, &full}) o->steps = 15, o->top_k = 64;
  const LmResult a = train_lm(bench.input(), sparse), b = train_lm(bench.input(), full);
  EXPECT_NEAR(a.loss, b.loss, 1e-4);
  sparse = bench.options("c"), sparse.steps = 15, sparse.top_k = 0, sparse.window = 2;
  EXPECT_GT(std::abs(train_lm(bench.input(), sparse).loss - b.loss), 1e-3);
}

TEST_F(LmTrainerTest, WeightsInBfloat16AreHalfAsLarge) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("a", "full");
  options.steps = 2;
  options.dtype = "bf16";
  options.tied = false;
  train_lm(bench.input(), options);
  const auto checkpoint = checkpoint::Checkpoint::open(options.output);
  EXPECT_EQ(checkpoint->size_bytes(), checkpoint->n_weights() * 2);
  EXPECT_NE(checkpoint->find("output.weight"), nullptr);
}

TEST_F(LmTrainerTest, ALossThatIsNoNumberStopsWithItsStep) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("a");
  options.lr = 1e30;
  options.warmup = 1;
  const std::string text =
      error_text([&] { train_lm(bench.input(), options); }, ErrorCode::kStopped);
  EXPECT_HAS(text, "step 2: the loss is");
  EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(LmTrainerTest, WrongOptionsAreNamed) {
  const LmBench bench(folder_);
  const LmTrainOptions good = bench.options("a");
  LmTrainOptions options = good;
  const auto refusal = [&](ErrorCode code = ErrorCode::kInvalidArgument) {
    const LmTrainOptions bad = std::exchange(options, good);
    return error_text([&] { train_lm(bench.input(), bad); }, code);
  };
  options.kv_heads = 3;
  EXPECT_HAS(refusal(), "--heads is 2, which is no multiple of --kv-heads 3");
  options.heads = 3, options.kv_heads = 1;
  EXPECT_HAS(refusal(), "--hidden is 32, which is no multiple of --heads 3");
  options.hidden = 48;
  EXPECT_HAS(refusal(), "--hidden by --heads is 24, and the size of a head");
  options.attention = "half";
  EXPECT_HAS(refusal(), "--attention has to be dsrasq, full or gca");
  options.context = 32;
  EXPECT_HAS(refusal(), "--context is 32, less than --length 64");
  options.index_stretches = 5;
  EXPECT_HAS(refusal(), "--index-stretches has to be from 1 to --batch");
  options = bench.options("a", "gca"), options.lower_layers = 2;
  EXPECT_HAS(refusal(),
             "the options: with grouped cross attention the number of lower layers is 2");
  options.data = bench.path("none.txt");
  EXPECT_HAS(refusal(ErrorCode::kBadInput), "none.txt");
  write_file(folder_ / "empty.txt", "");
  options.data = bench.path("empty.txt");
  EXPECT_HAS(refusal(ErrorCode::kBadInput), "empty.txt");
  options.length = options.window + 400;
  EXPECT_HAS(refusal(ErrorCode::kBadInput), "--length is 412 tokens, but the longest");
  EXPECT_FALSE(fs::exists(good.output));
}

TEST_F(LmTrainerTest, AFolderWithAnotherModelIsLeftAlone) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("a");
  options.steps = 1;
  train_lm(bench.input(), options);
  options.ffn = 64;
  EXPECT_HAS(error_text([&] { train_lm(bench.input(), options); }, ErrorCode::kInvalidArgument),
             "holds a model whose n_ff is 48, not 64; choose another --output");
  options = bench.options("tokenizer/tokenizer.json");
  EXPECT_HAS(error_text([&] { train_lm(bench.input(), options); }, ErrorCode::kInvalidArgument),
             "is no folder");
}

// The perplexity of the trainer's held-out text by the files of a model with grouped cross
// attention.
double gca_perplexity(const LmTrainOptions& options) {
  AngleCache angles(at::kCPU);
  const GcaConfig config = read_gca_config(options.output);
  const GcaModel model(config, read_gca_weights(options.output, config, at::kCPU, at::kFloat),
                       angles);
  const TokenCache cache(options.data);
  const StretchSampler sampler(cache, nullptr,
                               {.length = options.length, .long_share = 0, .seed = options.seed});
  double nll = 0;
  for (int64_t i = 0; i < options.eval_stretches; ++i) {
    const at::Tensor ids = at::tensor(sampler.held_out(i, false).ids, at::kInt).to(at::kLong);
    const int64_t n = ids.size(0) - 1;
    nll -= next_token_logprobs(model.states(ids.unsqueeze(0))[0].narrow(0, 0, n), model.head(),
                               ids.narrow(0, 1, n), 10)
               .mean()
               .item<double>();
  }
  return std::exp(nll / static_cast<double>(options.eval_stretches));
}

TEST_F(LmTrainerTest, GroupedCrossAttentionLearnsAndItsFilesPredictTheSame) {
  const LmBench bench(folder_);
  LmTrainOptions options = bench.options("gca", "gca");
  options.steps = 120;
  const LmResult result = train_lm(bench.input(), options);
  EXPECT_LT(result.perplexity, 3);
  EXPECT_NEAR(gca_perplexity(options) / result.perplexity, 1, 1e-4);
  EXPECT_TRUE(result.adapter.empty());
  EXPECT_EQ(text::load_tokenizer(options.output)->fingerprint(), bench.tokenizer().fingerprint());
  // What is no transformer of ours says so, and nothing else is written over it.
  EXPECT_HAS(
      error_text([&] { checkpoint::Checkpoint::open(options.output); }, ErrorCode::kBadInput),
      "config.json: model_type \"gca\" is not supported");
  options.chunk = 9;
  const auto refusal = [&] {
    return error_text([&] { train_lm(bench.input(), options); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_HAS(refusal(), "holds a model whose chunk_size is 7, not 9; choose another --output");
  options.attention = "full";
  EXPECT_HAS(refusal(), "holds a model with another attention; choose another --output");
}

TEST_F(LmTrainerTest, PlansGroupedCrossAttentionWithItsOwnWeights) {
  const LmBench bench(folder_);
  const LmPlan gca = plan_lm_training(bench.options("a", "gca"), 256, at::kCPU);
  const LmPlan full = plan_lm_training(bench.options("a", "full"), 256, at::kCPU);
  const int64_t encoder = 4 * 32 * 32 + 3 * 32 * 48 + 2 * 32;
  const int64_t cross = 2 * 32 * 32 + 32, others = 2 * 32 * 32 + 4 * 32;
  EXPECT_EQ(gca.n_parameters, full.n_parameters + encoder + cross + others);
  EXPECT_GT(gca.step_bytes, full.step_bytes);
  EXPECT_GT(gca.step_seconds, 0);
}

TEST_F(LmTrainerTest, PlansWithoutTraining) {
  const LmBench bench(folder_);
  const LmTrainOptions options = bench.options("a");
  const LmPlan plan = plan_lm_training(options, 256, at::kCPU);
  const int64_t layer = 32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 48 + 2 * 32;
  const int64_t indexer = 32 * 32 + 16 * 32 + 32 + 2 * 32 + 2 + 32 + 1;
  EXPECT_EQ(plan.n_parameters, 256 * 32 + 32 + 2 * (layer + indexer));
  EXPECT_EQ(plan.checkpoint_bytes, static_cast<size_t>(plan.n_parameters) * 12);
  EXPECT_GT(plan.step_seconds, 0);
  EXPECT_FALSE(fs::exists(options.run_dir));
}

class StoppedLmTrainerTest : public StoppedTrainingTest {
 protected:
  void train_until(int signal, const char* attention) {
    fs::remove_all(folder_);
    const LmBench bench(folder_);
    train_lm(bench.input(), bench.options("stopped", attention), [&](const LmProgress& progress) {
      if (progress.step == 10) std::raise(signal);
    });
  }
  void expect_to_go_on(const char* attention) {
    const LmBench bench(folder_);
    const auto [resumed, unbroken] = expect_same_result(
        bench.options("stopped", attention), 8, bench.options("whole", attention),
        [&](const LmTrainOptions& o) { return train_lm(bench.input(), o); });
    EXPECT_EQ(resumed.perplexity, unbroken.perplexity);
  }
};

TEST_F(StoppedLmTrainerTest, GoesOnExactlyAfterBeingKilled) {
  EXPECT_EXIT(train_until(SIGKILL, "dsrasq"), testing::KilledBySignal(SIGKILL), "");
  expect_to_go_on("dsrasq");
}

TEST_F(StoppedLmTrainerTest, GroupedCrossAttentionGoesOnExactlyAfterBeingKilled) {
  EXPECT_EXIT(train_until(SIGKILL, "gca"), testing::KilledBySignal(SIGKILL), "");
  expect_to_go_on("gca");
}

}  // namespace
}  // namespace dsrasq::train
