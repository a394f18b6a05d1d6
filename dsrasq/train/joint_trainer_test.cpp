#include "dsrasq/train/joint_trainer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/core/process.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/train/joint_test_bench.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

class JointTrainerTest : public FolderTest {};

TEST_F(JointTrainerTest, KlToFullAttentionFallsAndTheAdapterHoldsEveryPart) {
  const JointBench bench(folder_);
  const JointTrainOptions options = bench.easy_options("a");
  int scores = 0;
  double first = 0;
  const JointInput input = bench.joint_input();
  const JointResult result = train_joint(input, options, [&](const JointProgress& progress) {
    scores += progress.score != nullptr;
    if (progress.step == 10) first = progress.kl;
    EXPECT_EQ(progress.steps, 150);
  });
  EXPECT_EQ(scores, 2);
  EXPECT_EQ(result.steps, 150);
  EXPECT_LT(result.kl, 0.5 * first);
  EXPECT_NEAR(result.before.teacher_perplexity, result.after.teacher_perplexity, 1e-6);
  EXPECT_GT(result.after.picked, 1);
  EXPECT_LE(result.after.picked, 4);
  const retriever::Adapter adapter = retriever::Adapter::load(result.adapter);
  EXPECT_EQ(adapter.base_fingerprint, bench.checkpoint().fingerprint());
  EXPECT_EQ(adapter.d_max, 80);
  EXPECT_EQ(adapter.indexers.size(), 2u);
  EXPECT_EQ(adapter.lora.size(), 2u);
  EXPECT_EQ(adapter.lora.at(1).down.a.sizes(), (at::IntArrayRef{4, 64}));
  EXPECT_GT(adapter.lora.at(0).q.b.abs().max().item<float>(), 0);
  EXPECT_EQ(adapter.slots.at(1).n_slots, 3);
  EXPECT_NE(adapter.slots.at(0).gate[0], 0);
  EXPECT_FALSE(adapter.indexers.at(0).query.equal(
      input.adapter->indexers.at(0).query.to(at::kHalf).to(at::kFloat)));
  EXPECT_NE(adapter.record.find("\"method\":\"joint\""), std::string::npos);
}

// Log-probabilities of a text's tokens by what the adapter's file says, on the CPU's own kernels.
at::Tensor inference_log_probabilities(const JointBench& bench, const retriever::Adapter& adapter,
                                       const at::Tensor& ids, const JointTrainOptions& options) {
  const model::Transformer model(bench.checkpoint(), model::LoadOptions{});
  const model::Transformer adapted = model.adapted(adapter.lora);
  policy::PolicyOptions policy{.name = "dsrasq",
                               .window = options.window,
                               .sinks = options.sinks,
                               .top_k = options.top_k,
                               .pool = options.pool,
                               .block = options.block};
  const auto memory = policy::make_policy(policy, model.shape(), &adapter);
  std::vector<at::Tensor> states;
  for (int64_t done = 0; done < ids.size(0);) {
    const int64_t n = memory->admit(std::min<int64_t>(7, ids.size(0) - done));
    states.push_back(adapted.forward(ids.narrow(0, done, n), *memory));
    done += n;
  }
  return model.logits(at::cat(states)).log_softmax(1);
}

TEST_F(JointTrainerTest, TheWrittenAdapterPredictsOnTheCpuWhatTheStudentPredicted) {
  JointBench bench(folder_);
  JointTrainOptions options = bench.options("a");
  options.lr_lora = 5e-3;
  options.lr_gates = 0.1;
  const JointInput input = bench.joint_input();
  train_joint(input, options);
  const retriever::Adapter adapter = retriever::Adapter::load(options.output);

  const JointInput again{.train = bench.input(), .adapter = &adapter};
  const TokenCache cache(bench.path("tokens"));
  const StretchSampler sampler(cache, again.train.encode, {.length = 64, .long_share = 0});
  options.slots = 0;
  options.pool = 1024;  // that holds all, as pages leave in other steps than a student's tokens
  JointRun run(again, options, sampler);
  const at::NoGradGuard no_grad;
  AngleCache angles(at::kCPU);
  const at::Tensor ids = at::arange(120, at::kLong).mul(37).remainder(64);
  StudentPolicy student(bench.model().shape(),
                        {.rules = {.window = 16, .sinks = 2, .top_k = 4},
                         .n_heads = 2,
                         .d_max = adapter.d_max,
                         .block = 16},
                        run.parameters().layers(), angles);
  const at::Tensor ours =
      bench.model().logits(bench.model().adapted(run.parameters().lora()).forward(ids, student));
  const at::Tensor wanted = inference_log_probabilities(bench, adapter, ids, options);
  // Keys and values of the pool are rounded to int8 at inference, so that in one place of many
  // another token may be picked.
  const at::Tensor difference = (ours.log_softmax(1) - wanted).abs();
  const at::Tensor worst = difference.amax({1});
  EXPECT_LT(worst.narrow(0, 0, 18).max().item<float>(), 1e-4f);
  EXPECT_LT(worst.median().item<float>(), 0.06f);
  // Without its low-rank part the adapter predicts something else.
  retriever::Adapter bare = adapter;
  bare.lora.clear();
  EXPECT_GT(
      (inference_log_probabilities(bench, bare, ids, options) - wanted).abs().mean().item<float>(),
      0.05f);
}

TEST_F(JointTrainerTest, SlotsOfEveryModeGoOnFromAnAdapterOfThatMode) {
  JointBench bench(folder_);
  struct Case {
    const char *mode, *other;
    double beta;
  };
  for (const auto& [mode, other, beta] :
       {Case{"content", "rotate", 0.75}, Case{"position", "content", 0},
        Case{"rotate", "position", 0}}) {
    JointTrainOptions options = bench.options(mode);
    options.steps = 3;
    options.slot_mode = mode;
    options.beta = beta;
    train_joint(bench.joint_input(), options);
    const retriever::Adapter adapter = retriever::Adapter::load(options.output);
    EXPECT_EQ(adapter.slot_mode(), memory::find_slot_mode(mode));
    const memory::SlotParameters& slots = adapter.slots.at(1);
    EXPECT_NE(slots.gate[0], 0) << mode;
    if (beta > 0) {
      EXPECT_EQ(slots.beta, std::vector<float>(3, 0.75f));
    }

    const JointInput further{.train = bench.input(), .adapter = &adapter};
    options = bench.options(concat(mode, "-further"));
    options.slots = 0;
    options.steps = 3;
    train_joint(further, options);
    EXPECT_EQ(retriever::Adapter::load(options.output).slot_mode(), adapter.slot_mode());
    options = bench.options(concat(mode, "-other"));
    options.slot_mode = other;
    EXPECT_HAS(error_text([&] { train_joint(further, options); }, ErrorCode::kInvalidArgument),
               concat("of the mode ", mode, ", --slot-mode is ", other));
    options.slot_mode.clear();
    options.block = 32;
    if (slots.mode == memory::SlotMode::kPosition) {
      EXPECT_HAS(error_text([&] { train_joint(further, options); }, ErrorCode::kInvalidArgument),
                 "take in blocks of 16 tokens, --block is 32");
    }
  }
}

TEST_F(JointTrainerTest, LoraGradientsMatchFiniteDifferences) {
  const JointBench bench(folder_, at::kDouble);
  const JointInput input = bench.joint_input();
  const JointTrainOptions options = bench.options("a");
  JointParameters parameters({bench.model().shape(), 64}, input.adapter, options, at::kCPU);
  AngleCache angles(at::kCPU);
  const at::Tensor ids = at::arange(40, at::kLong).mul(29).remainder(64);
  const at::Tensor direction = at::randn({40, 32}, at::TensorOptions().dtype(at::kDouble));
  // No retrieval: a choice that flips would be no derivative.
  const auto value = [&](const retriever::LoraByLayer& lora) {
    StudentPolicy student(bench.model().shape(),
                          {.rules = {.window = 16, .sinks = 2, .top_k = 0}, .n_heads = 2},
                          parameters.layers(), angles);
    return (bench.model().adapted(lora).differentiable_forward(ids, student) * direction).sum();
  };
  retriever::LoraByLayer lora = parameters.lora();
  for (auto& [layer, part] : lora)
    part.visit([](const char*, retriever::LowRank& t) {
      t.a = t.a.detach().to(at::kDouble);
      t.b = at::randn_like(t.b.detach().to(at::kDouble)).mul_(0.1);
    });
  for (auto& [layer, part] : lora)
    part.visit([&, layer = layer](const char* name, retriever::LowRank& low_rank) {
      for (at::Tensor* t : {&low_rank.a, &low_rank.b}) {
        *t = t->detach().requires_grad_(true);
        value(lora).backward();
        const at::Tensor gradient = t->grad(), before = t->detach().clone();
        const at::Tensor along = at::randn_like(before);
        constexpr double kStep = 1e-5;
        *t = before + kStep * along;
        const double above = value(lora).item<double>();
        *t = before - kStep * along;
        const double wanted = (above - value(lora).item<double>()) / (2 * kStep);
        *t = before;
        EXPECT_NEAR((gradient * along).sum().item<double>(), wanted, 1e-5 * (1 + std::abs(wanted)))
            << layer << ' ' << name;
      }
    });
}

TEST_F(JointTrainerTest, ThresholdsAreTrainedByTheCostOfTokens) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.options("a");
  options.thresholds = true;
  options.top_k = 40;
  options.threshold = 0.01;
  options.lora_rank = 0;
  options.slots = 0;
  options.lr_retriever = 0;
  options.retriever_weight = 0;
  options.lr_threshold = 0.1;
  const JointInput input = bench.joint_input();
  options.lambda_ret = 1;
  const JointResult dear = train_joint(input, options);
  EXPECT_LT(dear.after.picked, 0.7 * dear.before.picked);
  const retriever::Adapter adapter = retriever::Adapter::load(dear.adapter);
  EXPECT_GT(adapter.thresholds.at(0), std::log(0.01f));
  // A retriever at rest keeps its values.
  EXPECT_TRUE(adapter.indexers.at(1).key.equal(
      input.adapter->indexers.at(1).key.to(at::kHalf).to(at::kFloat)));
  options = bench.options("b");
  options.thresholds = true;
  options.top_k = 40;
  options.threshold = 0.01;
  options.lambda_comp = 1;
  const TokenCache cache(bench.path("tokens"));
  const StretchSampler sampler(cache, nullptr, {.length = 64, .long_share = 0});
  const JointRun run(input, options, sampler);
  EXPECT_NEAR(run.token_cost(), 4 * 4 * 16 / 1e6, 1e-12);
}

TEST_F(JointTrainerTest, WeightsInBfloat16LearnToo) {
  const JointBench bench(folder_, at::kBFloat16);
  JointTrainOptions options = bench.easy_options("a");
  options.thresholds = true;
  options.lambda_ret = 1e-6;
  double first = 0;
  const JointResult result =
      train_joint(bench.joint_input(), options, [&](const JointProgress& progress) {
        if (progress.step == 10) first = progress.kl;
      });
  EXPECT_LT(result.kl, 0.7 * first);
}

TEST_F(JointTrainerTest, AnswersToTasksAreLearnedWhereTheyAreAsked) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.easy_options("a");
  std::string lines;
  for (const char* what : {"ab", "cd", "efg", "hi", "kl", "mno", "pq", "rst"})
    lines += concat(R"({"inputs": "say )", what, R"(", "targets": "yes"})", "\n");
  write_file(bench.path("tasks.jsonl"), lines);
  options.tasks = {bench.path("tasks.jsonl")};
  options.task_share = 0.8;
  options.answer_weight = 4;
  const JointResult result = train_joint(bench.joint_input(), options);
  EXPECT_GT(result.before.answer_nll, 2);
  EXPECT_LT(result.after.answer_nll, 0.5 * result.before.answer_nll);
  EXPECT_EQ(result.before.teacher_answer_nll, result.after.teacher_answer_nll);
  // Other tasks are another run.
  write_file(bench.path("tasks.jsonl"), R"({"inputs": "say ab", "targets": "no"})");
  EXPECT_HAS(
      error_text([&] { train_joint(bench.joint_input(), options); }, ErrorCode::kInvalidArgument),
      "holds a training of another model or of other data");
}

TEST_F(JointTrainerTest, RecalledTokensCountWhereNothingIsLost) {
  const JointBench bench(folder_);
  const std::string data = bench.path("long");
  std::vector<std::vector<int32_t>> documents(2, std::vector<int32_t>(2000));
  for (int32_t i = 0; i < 2000; ++i) documents[0][static_cast<size_t>(i)] = i * i * 3 % 61;
  documents[1] = documents[0];
  write_token_cache(data, "letters", "test", documents);
  const TokenCache cache(data);
  const JointInput input = bench.joint_input();
  const StretchSampler sampler(cache, input.train.encode,
                               {.length = 1800,  // room for planted details
                                .long_share = 0,
                                .recall_share = 1,
                                .recall = {.facts = 2, .echoes = 2, .min_distance = 40}});
  const auto metrics = [&](double pool_share) {
    JointTrainOptions options = bench.options("a");
    options.length = 1800;
    options.retriever_weight = 0;
    options.recall_weight = 4;
    options.pool_share = pool_share;
    return JointRun(input, options, sampler).accumulate(0);
  };
  const auto value = [](const at::Tensor& of, int64_t metric) { return of[metric].item<float>(); };
  const at::Tensor all = metrics(0), limited = metrics(1);
  for (const at::Tensor& m : {all, limited}) {
    EXPECT_EQ(value(m, kJointRecalls), 1);
    EXPECT_EQ(value(m, kJointAnswers), 0);
    EXPECT_GT(value(m, kJointRecallNll), 1);
  }
  EXPECT_NEAR(value(all, kJointLoss), value(all, kJointKl) + 4 * value(all, kJointRecallNll), 1e-4);
  EXPECT_NEAR(value(limited, kJointLoss), value(limited, kJointKl), 1e-5);
}

TEST_F(JointTrainerTest, ALossThatIsNoNumberStopsWithItsStep) {
  const JointBench bench(folder_);
  JointTrainOptions options = bench.options("a");
  options.lr_lora = 1e30;
  options.warmup = 1;
  const JointInput input = bench.joint_input();
  const std::string text = error_text([&] { train_joint(input, options); }, ErrorCode::kStopped);
  EXPECT_HAS(text, "step 1: the loss is");
  EXPECT_FALSE(fs::exists(options.output));
  EXPECT_FALSE(CheckpointFolder(options.run_dir).load().has_value());
}

TEST_F(JointTrainerTest, WrongOptionsAreNamed) {
  JointBench bench(folder_);
  const JointInput input = bench.joint_input();
  JointTrainOptions options = bench.options("a");
  const auto refusal = [&] {
    return error_text([&] { train_joint(input, options); }, ErrorCode::kInvalidArgument);
  };
  options.lora_targets = "q,up";
  EXPECT_HAS(refusal(), "--lora-targets holds 'up'");
  options = bench.options("a");
  options.kl_weight = 0;
  EXPECT_HAS(refusal(), "--kl-weight or --ce-weight above 0");
  options = bench.options("a");
  options.horizon = options.window - 1;
  EXPECT_HAS(refusal(), "--horizon has to be 0, or at least --window");
  options = bench.options("a");
  options.threshold = 0;
  EXPECT_HAS(refusal(), "--threshold has to be between 0 and 1");
  options = bench.options("a");
  options.pool = 0;
  EXPECT_HAS(refusal(), "--slots want --pool");
  options = bench.options("a");
  options.pool_share = 1.5;
  EXPECT_HAS(refusal(), "--pool-share has to be from 0 to 1");
  options = bench.options("a");
  options.slot_mode = "spin";
  EXPECT_HAS(refusal(), "--slot-mode has to be content, position or rotate");
  options = bench.options("a");
  options.beta = 1;
  EXPECT_HAS(refusal(), "--beta has to be between 0 and 1");
  options.slot_mode = "rotate";
  options.beta = 0.5;
  EXPECT_HAS(refusal(), "slots of the mode rotate are replaced and never decay");
  options.slots = 0;
  EXPECT_HAS(refusal(),
             "--slot-mode and --beta are for latent slots, and there are none (--slots)");
  options = bench.options("a");
  train_joint(input, options);
  const retriever::Adapter trained = retriever::Adapter::load(options.output);
  const JointInput further{.train = bench.input(), .adapter = &trained};
  options = bench.options("b");
  options.lora_rank = 2;
  EXPECT_HAS(error_text([&] { train_joint(further, options); }, ErrorCode::kInvalidArgument),
             "lora.0.q has another shape than --lora-rank and --lora-targets ask for");
}

TEST_F(JointTrainerTest, PlansWithoutTraining) {
  const JointBench bench(folder_);
  const JointPlan plan = plan_joint_training(bench.joint_input(), bench.options("a"));
  const int64_t indexer = 32 * 32 + 16 * 32 + 32 + 2 * 32 + 2 + 32 + 1;
  const int64_t lora = 4 * ((32 + 64) + 2 * (32 + 32) + (64 + 32) + (64 + 32));
  const int64_t slots = 2 * 32 * 3 + 2 * 2 * 32 * 16 + 3 + 4;
  EXPECT_EQ(plan.n_parameters, 2 * (indexer + 1 + lora + slots));
  EXPECT_GT(plan.step_seconds, 0);
  EXPECT_FALSE(fs::exists(bench.options("a").run_dir));
}

class StoppedJointTrainerTest : public StoppedJointTraining {};

TEST_F(StoppedJointTrainerTest, GoesOnExactlyAfterBeingKilled) {
  EXPECT_EXIT(train_until(SIGKILL), testing::KilledBySignal(SIGKILL), "");
  expect_goes_on_from(8);
}

}  // namespace
}  // namespace dsrasq::train
