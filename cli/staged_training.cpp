#include "cli/staged_training.h"

#include <nlohmann/json.hpp>

#include "cli/train_report.h"
#include "dsrasq/core/process.h"

namespace dsrasq::cli {
namespace {

std::string start_text(const session::Engine& engine) {
  return engine.adapter() ? "starts from " + engine.adapter_path()
                          : "no adapter to start from: the retriever starts from scratch";
}

}  // namespace

nlohmann::ordered_json run_staged_training(session::EngineOptions engine_options,
                                           const train::StagedTrainOptions& options, bool dry_run,
                                           const Console& console) {
  train::check_run_options(options, "cli.train");  // before the model is loaded
  const train::Stages stages = train::stages_of(options);
  if (stages.warmup && engine_options.adapter == "auto") engine_options.adapter = "none";
  watch_interrupts();
  const session::Engine engine(engine_options);
  const train::StagedInput input{
      {.train = train::train_input(engine.model(), engine.tokenizer(), engine.fingerprint(),
                                   engine.model().config().name),
       .adapter = engine.adapter(),
       .adapter_fingerprint = engine.adapter_fingerprint()},
      engine.adapter_path()};
  console.note(start_text(engine));
  const nlohmann::ordered_json result =
      dry_run ? plan_json(train::plan_staged_training(input, options))
              : result_json(
                    train::train_staged(input, options, [&](const train::StagedProgress& progress) {
                      console.note(progress_text(progress));
                    }));
  console.result_lines(result);
  return result;
}

}  // namespace dsrasq::cli
