#include "dsrasq/train/lm_trainer.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/text/bpe_trainer.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/train/gca_config.h"
#include "dsrasq/train/group_optimiser.h"
#include "dsrasq/train/lm_folder.h"
#include "dsrasq/train/lm_run.h"
#include "dsrasq/train/step_metrics.h"
#include "dsrasq/train/training_loop.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInLmTrainer = "train.lm";
constexpr double kLmBudgetForSteps = 0.95;
constexpr double kBeta2 = 0.95;  // as usual where all weights are trained from nothing

}  // namespace

void check_lm_options(const LmTrainOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInLmTrainer, what);
  };
  const auto is_weight = [](double value) { return value >= 0 && std::isfinite(value); };
  want(std::filesystem::path(o.output).has_filename(), "--output has to name the folder to write");
  check_run_options(o, kInLmTrainer);
  want(o.steps >= 1, "--steps has to be at least 1");
  want(o.is_sparse() || o.is_gca() || o.attention == "full",
       "--attention has to be dsrasq, full or gca");
  want(o.dtype == "bf16" || o.dtype == "f32", "--dtype has to be bf16 or f32");
  want(o.top_k >= 0 && o.top_k <= 65536, "--topk has to be from 0 to 65536");
  want(o.index_heads >= 1 && o.index_heads <= 8, "--index-heads has to be from 1 to 8");
  want(o.index_dim >= 16 && o.index_dim <= 64 && o.index_dim % 16 == 0,
       "--index-dim has to be a multiple of 16 up to 64");
  want(!o.is_sparse() || (o.index_stretches >= 1 && o.index_stretches <= o.batch),
       "--index-stretches has to be from 1 to --batch");
  want(!o.tokenizer.empty() || (o.vocab >= text::BpeTrainer::kLeastTokens && o.vocab <= 1 << 20),
       "--vocab has to be from 257 (every byte and the end of a text) to 1048576");
  want(std::filesystem::path(o.tokenizer).extension() != ".gguf",
       "--tokenizer names a GGUF file; name a folder with a tokenizer.json");
  const auto config = lm_config(o, text::BpeTrainer::kLeastTokens);  // of any vocabulary
  if (o.is_gca()) gca_config(o, config);
  want(o.tokens_at_once >= 0, "--tokens-at-once has to be 0 or more");
  want(is_weight(o.lr) && is_weight(o.lr_retriever) && is_weight(o.weight_decay),
       "learning rates and --weight-decay have to be 0 or more");
}

namespace {

// As a checkpoint keeps them: what only grouped cross attention reads is no part of other runs.
std::map<std::string, std::string> kept_lm_options(const LmTrainOptions& options) {
  auto kept = run_options(options);
  if (!options.is_gca())
    for (const char* name : {"chunk", "chunk-topk", "lower-layers", "encoder-layers"})
      kept.erase(name);
  return kept;
}

class LmTrainer final : private TrainingLoop {
 public:
  using Progress = std::function<void(const LmProgress&)>;

  // `files` are the options with the paths that the loop writes to. All but `progress` outlive the
  // trainer; `train_input` learns the fingerprint of what is written.
  LmTrainer(const LmInput& input, TrainInput& train_input, const LmTrainOptions& options,
            const RunOptions& files, const TokenCache& cache, LmModel& model,
            const Progress& progress)
      : TrainingLoop(train_input, files, kept_lm_options(options), cache, kLmBudgetForSteps),
        input_(input),
        train_input_(train_input),
        options_(options),
        progress_(progress),
        model_(model),
        sampler_(cache, train_input.encode, stretch_options(train_input, options)),
        run_(model, options, sampler_, *input.processes, input.device,
             input.device.is_cpu() ? at::kFloat : at::kBFloat16),
        optimiser_(groups()),
        metrics_(kInLmTrainer) {
    if (const auto stored = start()) {
      optimiser_.load(*stored, std::vector<int64_t>(kGroups, stored->step));
      metrics_.go_on_from(stored->loss);
    }
  }

  LmResult run();

 private:
  static constexpr size_t kGroups = 3;  // matrices, norms, indexers

  void step(int64_t number) override;
  void settle() override {
    metrics_.settle(steps_done(), first_step(), [this] { return last_checkpoint(); });
  }
  void report() override;
  void evaluate() override;
  TrainingState state() const override;
  std::optional<double> measured_step_seconds() override;
  void tell(double perplexity) const;
  std::vector<OptimisedGroup> groups();
  double rate(int64_t step) const { return learning_rate(step, steps(), options_.warmup, 1); }
  double last_rate() const { return options_.lr * rate(std::max<int64_t>(0, steps_done() - 1)); }
  double tokens_per_s() const {
    return static_cast<double>(run_.tokens_read()) / std::max(1e-9, metrics_.all_seconds());
  }
  nlohmann::json record() const;

  const LmInput& input_;
  TrainInput& train_input_;
  const LmTrainOptions& options_;
  const Progress& progress_;
  LmModel& model_;
  StretchSampler sampler_;
  LmRun run_;
  GroupOptimiser optimiser_;
  StepMetrics metrics_;
  double perplexity_ = 0;
};

std::vector<OptimisedGroup> LmTrainer::groups() {
  const AdamOptions plain{.beta2 = kBeta2, .clip = options_.clip};
  AdamOptions decaying = plain;
  decaying.weight_decay = options_.weight_decay;
  IndexerBank* indexers = model_.indexers();
  const at::Tensor none = at::zeros({1, 0}, model_.norms().matrix().options());
  return {{model_.matrices().matrix(), model_.matrices().gradient(), decaying},
          {model_.norms().matrix(), model_.norms().gradient(), plain},
          {indexers ? indexers->matrix() : none,
           indexers ? model_.indexer_gradient().matrix() : none,
           {.clip = options_.clip}}};
}

TrainingState LmTrainer::state() const {
  TrainingState state = common_state();
  state.loss = metrics_.loss();
  state.identity = concat("lm/", data_identity(train_input_, cache()));
  optimiser_.save(state);
  return state;
}

void LmTrainer::step(int64_t number) {
  metrics_.begin_step();
  const at::Tensor metrics = run_.accumulate(number);
  metrics_.add(metrics);
  const double share = rate(number);
  optimiser_.step(processes(),
                  {options_.lr * share, options_.lr * share, options_.lr_retriever * share},
                  metrics);
}

std::optional<double> LmTrainer::measured_step_seconds() {
  settle();
  const double steady = metrics_.step_seconds();
  return steady > 0 ? steady : metrics_.all_seconds() / static_cast<double>(steps_done());
}

void LmTrainer::evaluate() {
  perplexity_ = run_.score();
  log_scalars({{"eval/perplexity", perplexity_}});
  tell(perplexity_);
}

void LmTrainer::report() {
  settle();
  log_scalars({{"loss", metrics_.loss()},
               {"retriever_kl", metrics_.mean(kLmRetriever)},
               {"learning_rate", last_rate()},
               {"tokens_per_s", tokens_per_s()}});
  tell(0);
}

void LmTrainer::tell(double perplexity) const {
  if (!progress_ || !processes().is_first()) return;
  progress_({.step = steps_done(),
             .steps = steps(),
             .loss = metrics_.loss(),
             .retriever_kl = metrics_.mean(kLmRetriever),
             .learning_rate = last_rate(),
             .tokens_per_s = tokens_per_s(),
             .seconds_left = metrics_.step_seconds() * static_cast<double>(steps() - steps_done()),
             .perplexity = perplexity});
}

nlohmann::json LmTrainer::record() const {
  return {{"method", "lm"},
          {"loss", metrics_.loss()},
          {"retriever_kl", metrics_.mean(kLmRetriever)},
          {"perplexity", perplexity_}};
}

LmResult LmTrainer::run() {
  run_steps();
  LmResult result{.steps = steps_done(),
                  .tokens = steps_done() * options_.batch * options_.length,
                  .parameters = model_.count(),
                  .loss = metrics_.loss(),
                  .retriever_kl = metrics_.mean(kLmRetriever),
                  .perplexity = perplexity_,
                  .tokens_per_s = tokens_per_s(),
                  .seconds = seconds(),
                  .model = options_.output,
                  .adapter = {}};
  if (options_.is_sparse()) result.adapter = adapter_in(options_.output).string();
  if (!processes().is_first()) return result;
  train_input_.fingerprint = write_model_folder(options_.output, model_, options_.dtype,
                                                input_.tokenizer, input_.tokenizer_source);
  // Longer distances than those of the training are ones that the model does not know.
  if (options_.is_sparse()) write_adapter(model_.adapter(options_.length), record());
  return result;
}

}  // namespace

LmResult train_lm(const LmInput& input, const LmTrainOptions& options,
                  const std::function<void(const LmProgress&)>& progress) {
  check_lm_options(options);
  LmModel model(options, input.tokenizer.vocab_size(), input.device);
  check_model_folder(options.output, model);
  const model::Transformer start = model.transformer(at::kFloat);
  TrainInput train =
      train_input(start, input.tokenizer, "",
                  std::filesystem::path(options.output).lexically_normal().filename().string());
  train.processes = input.processes;
  check_shares(train, options);
  RunOptions files = options;
  files.run_dir = run_folder(options);
  files.output = adapter_in(options.output).string();
  const TokenCache cache(prepare_training_tokens(train, files));
  LmTrainer trainer(input, train, options, files, cache, model, progress);
  return trainer.run();
}

}  // namespace dsrasq::train
