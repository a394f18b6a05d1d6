#include "cli/staged_training.h"

#include <nlohmann/json.hpp>

#include "cli/train_processes.h"
#include "cli/train_report.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"

namespace dsrasq::cli {
namespace {

constexpr const char* kInStagedTraining = "cli.train";

std::string start_text(const session::Engine& engine) {
  return engine.adapter() ? "starts from " + engine.adapter_path()
                          : "no adapter to start from: the retriever starts from scratch";
}

nlohmann::ordered_json train_here(const train::StagedTrainOptions& options, bool dry_run,
                                  const Console& console, const TrainingPlace& place) {
  const session::Engine engine(place.engine);
  train::StagedInput input{
      {.train = train::train_input(engine.model(), engine.tokenizer(), engine.fingerprint(),
                                   engine.model().config().name),
       .adapter = engine.adapter(),
       .adapter_fingerprint = engine.adapter_fingerprint()},
      engine.adapter_path()};
  input.start.train.processes = place.processes;
  if (place.processes->is_first()) console.note(start_text(engine));
  if (dry_run) return plan_json(train::plan_staged_training(input, options));
  return result_json(train::train_staged(
      input, options,
      [&](const train::StagedProgress& progress) { console.note(progress_text(progress)); }));
}

}  // namespace

nlohmann::ordered_json run_staged_training(session::EngineOptions engine,
                                           const train::StagedTrainOptions& options, bool dry_run,
                                           const Console& console,
                                           const std::function<void()>& keep_config) {
  train::check_run_options(options, kInStagedTraining);  // before the model is loaded
  const train::Stages stages = train::stages_of(options);
  if (stages.warmup && engine.adapter == "auto") engine.adapter = "none";
  watch_interrupts();
  return with_processes(engine, !dry_run, [&](const TrainingPlace& place) {
    DSRASQ_CHECK(!stages.warmup || place.processes->size() == 1, kInvalidArgument,
                 kInStagedTraining,
                 "several processes train one stage at a time: train retriever, and then "
                 "train joint --adapter");
    nlohmann::ordered_json result = train_here(options, dry_run, console, place);
    if (!place.processes->is_first()) return result;
    if (!dry_run) keep_config();
    console.result_lines(result);
    return result;
  });
}

}  // namespace dsrasq::cli
