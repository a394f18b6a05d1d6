// dsrasq train retriever: makes the adapter of a model.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/train_processes.h"
#include "cli/train_report.h"
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

nlohmann::ordered_json train_here(const TrainConfig& config, const Console& console,
                                  const TrainingPlace& place) {
  const session::Engine engine(place.engine);
  train::TrainInput input = train::train_input(engine.model(), engine.tokenizer(),
                                               engine.fingerprint(), engine.model().config().name);
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
    result = result_json(trained);
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
