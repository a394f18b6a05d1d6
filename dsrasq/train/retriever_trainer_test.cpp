#include "dsrasq/train/retriever_trainer.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "dsrasq/core/process.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/test_bench.h"
#include "dsrasq/train/test_stopped_training.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

// A bench with options for a run of a second.
class Bench : public TestBench {
 public:
  using TestBench::TestBench;

  RetrieverTrainOptions options(const std::string& name) const {
    auto options = short_run<RetrieverTrainOptions>(name);
    options.n_heads = 2;
    options.head_dim = 8;
    return options;
  }
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
  a.thresholds[0] = -3;
  options.init = options.output;
  a.save(options.init);
  EXPECT_HAS(error_text([&] { train_retriever(bench.input(), options); }),
             "was trained jointly; the warm-up would lose all but its indexers");
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

class StoppedTrainerTest : public StoppedTrainingTest {
 protected:
  // Ends this process with `signal` at step 10 of 24.
  void train_until(int signal) {
    fs::remove_all(folder_);
    const Bench bench(folder_);
    train_retriever(bench.input(), bench.options("stopped"), [&](const TrainProgress& progress) {
      if (progress.step == 10) std::raise(signal);
    });
  }
  // Goes on, and compares with a run that was never stopped.
  void expect_goes_on_from(int64_t stopped_at) {
    const Bench bench(folder_);
    expect_same_result(
        bench.options("stopped"), stopped_at, bench.options("whole"),
        [&](const RetrieverTrainOptions& o) { return train_retriever(bench.input(), o); });
  }
};

TEST_F(StoppedTrainerTest, GoesOnExactlyAfterBeingKilled) {
  EXPECT_EXIT(train_until(SIGKILL), testing::KilledBySignal(SIGKILL), "");
  expect_goes_on_from(8);
}

TEST_F(StoppedTrainerTest, GoesOnExactlyAfterCtrlC) {
  EXPECT_EXIT(
      {
        watch_interrupts();
        const std::string text = error_text([&] { train_until(SIGINT); }, ErrorCode::kInterrupted);
        std::_Exit(text == "no error" ? 1 : 130);
      },
      testing::ExitedWithCode(130), "stopped at step 10");
  expect_goes_on_from(10);
}

}  // namespace
}  // namespace dsrasq::train
