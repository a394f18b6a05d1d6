// dsrasq train joint: retriever, slots and low-rank changes to the model learn together.

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/train_processes.h"
#include "dsrasq/core/process.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/train/joint_trainer.h"

namespace dsrasq::cli {
namespace {

struct JointConfig {
  session::EngineOptions engine{.dense = true};
  train::JointTrainOptions train;
  bool dry_run = false;

  template <class V>
  void visit(V&& v) {
    train.visit(v);
    v(engine.model, "model", "the base model: a GGUF file or a Hugging Face folder");
    v(engine.adapter, "adapter",
      "to start from: a file, none, or auto: found by the model's fingerprint");
    v(engine.device, "device", "cpu or cuda");
    v(engine.threads, "threads", "CPU threads; 0: all cores");
    v(dry_run, "dry-run", "say what the run will take, and leave");
  }
};

nlohmann::ordered_json score_json(const train::JointScore& score) {
  return {{"kl", score.kl},
          {"perplexity", score.perplexity},
          {"full_attention_perplexity", score.teacher_perplexity},
          {"mean_retrieved", score.picked}};
}

nlohmann::ordered_json rules_json(const std::vector<train::RuleScore>& rules) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const train::RuleScore& rule : rules) {
    list.push_back({{"rule", rule.rule}});
    list.back().update(score_json(rule.score));
  }
  return list;
}

std::string progress_text(const train::JointProgress& progress) {
  char line[256];
  std::snprintf(line, sizeof line,
                "step %lld of %lld  loss %.5f  KL %.5f  retrieved %.1f  %.0f tokens/s  %.0f s left",
                static_cast<long long>(progress.step), static_cast<long long>(progress.steps),
                progress.loss, progress.kl, progress.picked, progress.tokens_per_s,
                progress.seconds_left);
  std::string text = line;
  if (progress.score) {
    const double change = progress.score->perplexity / progress.score->teacher_perplexity - 1;
    std::snprintf(line, sizeof line, "  held out: perplexity %+.2f %%, KL %.5f, retrieved %.1f",
                  100 * change, progress.score->kl, progress.score->picked);
    text += line;
  }
  return text;
}

nlohmann::ordered_json plan_json(const train::JointPlan& plan) {
  return {{"dry_run", true},
          {"parameters", plan.n_parameters},
          {"adapter_bytes", plan.adapter_bytes},
          {"checkpoint_bytes", plan.checkpoint_bytes},
          {"step_bytes", plan.step_bytes},
          {"step_seconds", plan.step_seconds},
          {"rl_step_seconds", plan.rl_step_seconds},
          {"total_seconds", plan.total_seconds}};
}

nlohmann::ordered_json train_here(const JointConfig& config, const Console& console,
                                  const TrainingPlace& place) {
  const session::Engine engine(place.engine);
  const bool is_first = place.processes->is_first();
  train::JointInput input{
      .train = train::train_input(engine.model(), engine.tokenizer(), engine.fingerprint(),
                                  engine.model().config().name),
      .adapter = engine.adapter(),
      .adapter_fingerprint = engine.adapter_fingerprint()};
  input.train.processes = place.processes;
  if (is_first)
    console.note(engine.adapter() ? "starts from " + engine.adapter_path()
                                : "no adapter to start from: the retriever starts from scratch");
  nlohmann::ordered_json result;
  if (config.dry_run) {
    result = plan_json(train::plan_joint_training(input, config.train));
  } else {
    const train::JointResult trained = train::train_joint(
        input, config.train,
        [&](const train::JointProgress& progress) { console.note(progress_text(progress)); });
    result = {{"steps", trained.steps},
              {"loss", trained.loss},
              {"kl", trained.kl},
              {"tokens_per_s", trained.tokens_per_s},
              {"seconds", trained.seconds},
              {"adapter", trained.adapter},
              {"before", score_json(trained.before)},
              {"after", score_json(trained.after)}};
    if (!trained.rules.empty()) result["rules"] = rules_json(trained.rules);
    if (!is_first) return result;
    write_config(trained.adapter, config);
  }
  console.result_lines(result);
  return result;
}

nlohmann::ordered_json train_joint(const JointConfig& config, const Console& console) {
  train::check_run_options(config.train, "cli.train");  // before the model is loaded
  watch_interrupts();
  return with_processes(
      config.engine, !config.dry_run,
      [&](const TrainingPlace& place) { return train_here(config, console, place); });
}

}  // namespace

Command train_joint_command() {
  return make_command<JointConfig>(
      {"train joint", "trains the adapter's retriever, weights and slots together",
       "  dsrasq train joint --data books.jsonl.xz -o adapters/model.safetensors\n"
       "  dsrasq train joint --data books.tokens -o a.safetensors --time-budget 330 --topk 64 "
       "--device cuda\n"
       "  dsrasq train joint --data books.txt -o a.safetensors --slots 64 --local-share 0.5\n"
       "  dsrasq train joint --data books.tokens -o a.safetensors --steps 0 --lora-rank 0 "
       "--rl-steps 200 --lambda-ret 6e-5 --device cuda\n"
       "  dsrasq train joint --data books.txt -o a.safetensors --dry-run\n"},
      train_joint);
}

}  // namespace dsrasq::cli
