#include "dsrasq/train/retriever_trainer.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig =
    R"({"model_type":"llama","hidden_size":32,"intermediate_size":64,"num_hidden_layers":2,)"
    R"("num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"vocab_size":64,)"
    R"("max_position_embeddings":96,"rms_norm_eps":1e-5,"rope_theta":10000.0,)"
    R"("tie_word_embeddings":true})";

// A random Llama as a Hugging Face folder.
void write_random_llama(const fs::path& folder) {
  fs::create_directories(folder);
  write_file(folder / "config.json", kConfig);
  checkpoint::ModelConfig config;
  config.n_layers = 2;
  config.n_embd = 32;
  config.n_ff = 64;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 8;
  config.vocab_size = 64;
  config.tied_embeddings = true;
  at::manual_seed(1);
  std::vector<at::Tensor> values;
  std::vector<formats::NamedTensor> tensors;
  for (const auto& wanted : checkpoint::wanted_tensors(config)) {
    values.push_back(wanted.shape.size() == 1 ? at::ones(wanted.shape)
                                              : at::randn(wanted.shape).mul_(2 / std::sqrt(32.0)));
    tensors.push_back({checkpoint::hugging_face_name(wanted.name, config.architecture, "model."),
                       formats::Dtype::kF32, wanted.shape,
                       std::span(static_cast<const std::byte*>(values.back().const_data_ptr()),
                                 values.back().nbytes())});
  }
  formats::write_safetensors(folder / "model.safetensors", tensors);
}

std::vector<int32_t> encode(std::string_view text) {
  std::vector<int32_t> ids;
  for (char c : text) ids.push_back(static_cast<unsigned char>(c) % 64);
  return ids;
}

// A fresh place with a model, tokens and options for a run of a second.
class Bench {
 public:
  explicit Bench(const fs::path& folder) : folder_(folder) {
    // Tensors this small are done sooner by one thread.
    at::set_num_threads(1);
    set_num_threads(1);
    write_random_llama(folder / "model");
    std::vector<std::vector<int32_t>> documents;
    for (uint64_t d = 0; d < 3; ++d) {
      CounterRng rng(d, 0, 0);
      documents.emplace_back();
      for (int i = 0; i < 400; ++i) documents.back().push_back(static_cast<int32_t>(rng.below(64)));
    }
    write_token_cache(folder / "tokens", "letters", "test", documents);
    checkpoint_ = checkpoint::Checkpoint::open(folder / "model");
    model_ = std::make_unique<model::Transformer>(*checkpoint_, model::LoadOptions{});
  }

  TrainInput input() const {
    return {.model = *model_,
            .encode = encode,
            .prefix = {},
            .vocabulary = "letters",
            .fingerprint = checkpoint_->fingerprint(),
            .name = "tiny"};
  }
  RetrieverTrainOptions options(const std::string& name) const {
    RetrieverTrainOptions options;
    options.data = (folder_ / "tokens").string();
    options.output = (folder_ / (name + ".safetensors")).string();
    options.run_dir = (folder_ / (name + ".run")).string();
    options.steps = 24;
    options.length = 64;
    options.long_length = 128;
    options.long_share = 0.3;
    options.rows = 16;
    options.warmup = 4;
    options.window = 16;
    options.sinks = 2;
    options.n_heads = 2;
    options.head_dim = 8;
    options.eval_every = 0;
    options.eval_stretches = 1;
    options.checkpoint_every = 8;
    return options;
  }

 private:
  fs::path folder_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Transformer> model_;
};

class RetrieverTrainerTest : public FolderTest {};

TEST_F(RetrieverTrainerTest, LossFallsAndTheAdapterIsForTheModel) {
  const Bench bench(folder_);
  RetrieverTrainOptions options = bench.options("a");
  options.steps = 100;
  options.eval_every = 50;
  options.learning_rate = 0.03;
  double first = 0;
  int scores = 0;
  const TrainResult result =
      train_retriever(bench.input(), options, [&](const TrainProgress& progress) {
        if (progress.step == 10 && progress.score == nullptr) first = progress.loss;
        scores += progress.score != nullptr;
        EXPECT_EQ(progress.steps, 100);
      });
  EXPECT_EQ(result.steps, 100);
  EXPECT_EQ(scores, 2);
  EXPECT_LT(result.loss, 0.5 * first);
  EXPECT_GT(result.tokens_per_s, 0);
  EXPECT_GT(result.score.captured64, 0.5);
  EXPECT_LE(result.score.captured64, result.score.ideal64 + 1e-6);
  const retriever::Adapter adapter = retriever::Adapter::load(result.adapter);
  EXPECT_EQ(adapter.base_fingerprint, bench.input().fingerprint);
  EXPECT_EQ(adapter.indexers.size(), 2u);
  EXPECT_EQ(adapter.d_max, 96 * 6000 / 8192);
  EXPECT_NE(adapter.record.find("\"steps\":100"), std::string::npos);
}

TEST_F(RetrieverTrainerTest, NoStepsFromAnAdapterMeasureItAndKeepItsValues) {
  const Bench bench(folder_);
  RetrieverTrainOptions options = bench.options("a");
  const std::string trained = train_retriever(bench.input(), options).adapter;
  options = bench.options("b");
  options.steps = 0;
  EXPECT_HAS(
      error_text([&] { train_retriever(bench.input(), options); }, ErrorCode::kInvalidArgument),
      "--steps has to be from 1 to 100000000, or 0 with --init");
  options.init = trained;
  auto a = retriever::Adapter::load(trained);
  auto b = retriever::Adapter::load(train_retriever(bench.input(), options).adapter);
  EXPECT_EQ(a.recall, b.recall);
  EXPECT_TRUE(a.indexers[1].query.equal(b.indexers[1].query));
  EXPECT_NE(b.record.find("\"steps\":24"), std::string::npos) << "the first training's record";
  options = bench.options("c");
  options.init = trained;
  options.head_dim = 4;
  EXPECT_HAS(
      error_text([&] { train_retriever(bench.input(), options); }, ErrorCode::kInvalidArgument),
      "has --index-heads 2 and --index-dim 8");
}

TEST_F(RetrieverTrainerTest, PlansWithoutTraining) {
  const Bench bench(folder_);
  const TrainPlan plan = plan_retriever_training(bench.input(), bench.options("a"));
  EXPECT_EQ(plan.n_indexers, 2);
  // query, key, norm, head weights, local
  EXPECT_EQ(plan.n_parameters, 2 * (16 * 32 + 8 * 32 + 16 + 2 * 32 + 2 + 32 + 1));
  EXPECT_GT(plan.step_seconds, 0);
  EXPECT_NEAR(plan.total_seconds, 24 * plan.step_seconds, 1e-9);
  EXPECT_FALSE(fs::exists(bench.options("a").run_dir));
}

TEST_F(RetrieverTrainerTest, ALossThatIsNoNumberStopsWithStepAndLayer) {
  const Bench bench(folder_);
  RetrieverTrainOptions options = bench.options("a");
  options.learning_rate = 1e37;
  options.warmup = 1;
  const std::string text =
      error_text([&] { train_retriever(bench.input(), options); }, ErrorCode::kStopped);
  EXPECT_HAS(text, "step 1, layer 0: the loss is");
  EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(RetrieverTrainerTest, WrongOptionsAreNamed) {
  const Bench bench(folder_);
  RetrieverTrainOptions options = bench.options("a");
  options.length = 20;
  EXPECT_HAS(
      error_text([&] { train_retriever(bench.input(), options); }, ErrorCode::kInvalidArgument),
      "--length has to be at least 8 tokens more");
  TrainInput input = bench.input();
  input.vocabulary = "numbers";
  EXPECT_HAS(error_text([&] { train_retriever(input, bench.options("a")); }),
             "tokens of another vocabulary (letters, the model's is numbers)");
}

TEST_F(RetrieverTrainerTest, AnotherRunsFolderIsRefused) {
  const Bench bench(folder_);
  RetrieverTrainOptions options = bench.options("a");
  train_retriever(bench.input(), options);
  options.rows = 8;
  EXPECT_HAS(
      error_text([&] { train_retriever(bench.input(), options); }, ErrorCode::kInvalidArgument),
      "was started with --rows 16, not 8");
  options.resume = false;
  EXPECT_EQ(train_retriever(bench.input(), options).steps, 24);
}

// The bodies below run in a process of their own, which starts this test again: so the folder's
// name must be the same there.
class StoppedTrainerTest : public testing::Test {
 protected:
  StoppedTrainerTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / concat("dsrasq_", info->name());
  }
  ~StoppedTrainerTest() override { fs::remove_all(folder_); }

  // Ends this process with `signal` at step 10 of 24.
  void train_until(int signal) {
    fs::remove_all(folder_);
    const Bench bench(folder_);
    train_retriever(bench.input(), bench.options("stopped"), [&](const TrainProgress& progress) {
      if (progress.step == 10) std::raise(signal);
    });
  }
  // Goes on, and compares with a run that was never stopped.
  void expect_same_result(int64_t stopped_at) {
    const Bench bench(folder_);
    const RetrieverTrainOptions stopped = bench.options("stopped"), whole = bench.options("whole");
    EXPECT_EQ(CheckpointFolder(stopped.run_dir).load()->step, stopped_at);
    const TrainResult resumed = train_retriever(bench.input(), stopped);
    const TrainResult unbroken = train_retriever(bench.input(), whole);
    EXPECT_EQ(resumed.steps, unbroken.steps);
    EXPECT_EQ(resumed.loss, unbroken.loss);
    const auto a = CheckpointFolder(stopped.run_dir).load(),
               b = CheckpointFolder(whole.run_dir).load();
    EXPECT_TRUE(a->parameters.equal(b->parameters));
    EXPECT_TRUE(a->second.equal(b->second));
  }

  fs::path folder_;
};

TEST_F(StoppedTrainerTest, GoesOnExactlyAfterBeingKilled) {
  EXPECT_EXIT(train_until(SIGKILL), testing::KilledBySignal(SIGKILL), "");
  expect_same_result(8);
}

TEST_F(StoppedTrainerTest, GoesOnExactlyAfterCtrlC) {
  EXPECT_EXIT(
      {
        watch_interrupts();
        const std::string text = error_text([&] { train_until(SIGINT); }, ErrorCode::kInterrupted);
        std::_Exit(text == "no error" ? 1 : 130);
      },
      testing::ExitedWithCode(130), "stopped at step 10");
  expect_same_result(10);
}

}  // namespace
}  // namespace dsrasq::train
