// dsrasq train retriever: makes the adapter of a model.

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/train_processes.h"
#include "dsrasq/core/process.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/train/retriever_trainer.h"

namespace dsrasq::cli {
namespace {

struct TrainConfig {
  session::EngineOptions engine{.adapter = "none"};
  train::RetrieverTrainOptions train;
  bool dry_run = false;
  bool prepare_only = false;

  template <class V>
  void visit(V&& v) {
    train.visit(v);
    v(engine.model, "model", "the base model: a GGUF file or a Hugging Face folder");
    v(engine.device, "device", "cpu or cuda");
    v(engine.threads, "threads", "CPU threads; 0: all cores");
    v(dry_run, "dry-run", "say what the run will take, and leave");
    v(prepare_only, "prepare-only", "encode the data for this run and others, and leave");
  }
};

nlohmann::ordered_json score_json(const train::RetrieverScore& score) {
  return {{"captured64", score.captured64},
          {"ideal64", score.ideal64},
          {"captured256", score.captured256},
          {"ideal256", score.ideal256},
          {"recall64", score.recall64},
          {"recall_ideal64", score.recall_ideal64},
          {"kl", score.kl}};
}

std::string progress_text(const train::TrainProgress& progress) {
  char line[256];
  std::snprintf(
      line, sizeof line, "step %lld of %lld  loss %.4f  lr %.2e  %.0f tokens/s  %.0f s left",
      static_cast<long long>(progress.step), static_cast<long long>(progress.steps), progress.loss,
      progress.learning_rate, progress.tokens_per_s, progress.seconds_left);
  std::string text = line;
  if (progress.score) {
    std::snprintf(line, sizeof line,
                  "  held out: k=64 captures %.1f %% (ideal %.1f %%), recall %.1f %%",
                  100 * progress.score->captured64, 100 * progress.score->ideal64,
                  100 * progress.score->recall64);
    text += line;
  }
  return text;
}

nlohmann::ordered_json plan_json(const train::TrainPlan& plan) {
  return {{"dry_run", true},
          {"indexers", plan.n_indexers},
          {"parameters", plan.n_parameters},
          {"adapter_bytes", plan.adapter_bytes},
          {"checkpoint_bytes", plan.checkpoint_bytes},
          {"step_bytes", plan.step_bytes},
          {"flops_per_step", plan.flops},
          {"step_seconds", plan.step_seconds},
          {"total_seconds", plan.total_seconds}};
}

nlohmann::ordered_json train_here(const TrainConfig& config, const Console& console,
                                  const TrainingPlace& place) {
  const session::Engine engine(place.engine);
  train::TrainInput input = train::train_input(
      engine.model(), engine.tokenizer(), engine.fingerprint(), engine.model().config().name);
  input.processes = place.processes;
  nlohmann::ordered_json result;
  if (config.dry_run) {
    result = plan_json(train::plan_retriever_training(input, config.train));
  } else if (config.prepare_only) {
    Progress bar({.label = "encoding", .unit = "texts"}, !console.quiet());
    result = {{"data", train::prepare_training_tokens(
                           input, config.train,
                           [&](int64_t done, int64_t total) { bar.update(done, total); })}};
  } else {
    const train::TrainResult trained = train::train_retriever(
        input, config.train,
        [&](const train::TrainProgress& progress) { console.note(progress_text(progress)); });
    result = {{"steps", trained.steps},
              {"loss", trained.loss},
              {"tokens_per_s", trained.tokens_per_s},
              {"seconds", trained.seconds},
              {"adapter", trained.adapter},
              {"score", score_json(trained.score)}};
    if (!place.processes->is_first()) return result;
    write_config(trained.adapter, config);
  }
  console.result_lines(result);
  return result;
}

nlohmann::ordered_json train_retriever(const TrainConfig& config, const Console& console) {
  train::check_run_options(config.train, "cli.train");  // before the model is loaded
  watch_interrupts();
  return with_processes(
      config.engine, !config.dry_run && !config.prepare_only,
      [&](const TrainingPlace& place) { return train_here(config, console, place); });
}

}  // namespace

Command train_retriever_command() {
  return make_command<TrainConfig>(
      {"train retriever", "makes the adapter of a model: teaches it where its attention goes",
       "  dsrasq train retriever --data books.jsonl.xz -o adapters/model.safetensors\n"
       "  dsrasq train retriever --data books.txt -o a.safetensors --time-budget 300 --device "
       "cuda\n"
       "  dsrasq train retriever --data books.txt -o a.safetensors --dry-run\n"},
      train_retriever);
}

}  // namespace dsrasq::cli
