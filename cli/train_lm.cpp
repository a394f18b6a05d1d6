// dsrasq train lm: a language model from random weights.

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/train_processes.h"
#include "dsrasq/core/process.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/train/lm_tokenizer.h"
#include "dsrasq/train/lm_trainer.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;

struct LmConfig {
  train::LmTrainOptions train;
  std::string device = "cpu";
  int64_t threads = 0;
  bool dry_run = false;

  template <class V>
  void visit(V&& v) {
    train.visit(v);
    v(device, "device", "cpu or cuda");
    v(threads, "threads", "CPU threads; 0: all cores");
    v(dry_run, "dry-run", "say what the run will take, and leave");
  }
};

std::string progress_text(const train::LmProgress& progress) {
  char line[256];
  std::snprintf(
      line, sizeof line,
      "step %lld of %lld  loss %.4f  indexer KL %.4f  lr %.2e  %.0f tokens/s  %.0f s left",
      static_cast<long long>(progress.step), static_cast<long long>(progress.steps), progress.loss,
      progress.retriever_kl, progress.learning_rate, progress.tokens_per_s, progress.seconds_left);
  std::string text = line;
  if (progress.perplexity > 0) {
    std::snprintf(line, sizeof line, "  held out: perplexity %.3f", progress.perplexity);
    text += line;
  }
  return text;
}

Json plan_json(const train::LmPlan& plan) {
  return {{"dry_run", true},
          {"parameters", plan.n_parameters},
          {"embedding_parameters", plan.n_embedding},
          {"model_bytes", plan.model_bytes},
          {"checkpoint_bytes", plan.checkpoint_bytes},
          {"step_bytes", plan.step_bytes},
          {"step_seconds", plan.step_seconds},
          {"total_seconds", plan.total_seconds}};
}

Json result_json(const train::LmResult& trained) {
  return {{"steps", trained.steps},
          {"tokens", trained.tokens},
          {"parameters", trained.parameters},
          {"loss", trained.loss},
          {"retriever_kl", trained.retriever_kl},
          {"perplexity", trained.perplexity},
          {"tokens_per_s", trained.tokens_per_s},
          {"seconds", trained.seconds},
          {"model", trained.model},
          {"adapter", trained.adapter}};
}

Json train_here(const LmConfig& config, const Console& console, const TrainingPlace& place) {
  const at::Device device = session::ready_device(place.engine.device, place.engine.threads);
  Json result;
  if (config.dry_run) {
    const std::string& source = config.train.tokenizer;
    const int64_t vocab =
        source.empty() ? config.train.vocab : text::load_tokenizer(source)->vocab_size();
    result = plan_json(train::plan_lm_training(config.train, vocab, device));
  } else {
    const auto source = train::ready_lm_tokenizer(config.train, *place.processes);
    const auto tokenizer = text::load_tokenizer(source);
    const train::LmInput input{.tokenizer = *tokenizer,
                               .tokenizer_source = source,
                               .device = device,
                               .processes = place.processes};
    result =
        result_json(train::train_lm(input, config.train, [&](const train::LmProgress& progress) {
          console.note(progress_text(progress));
        }));
    if (!place.processes->is_first()) return result;
    write_config(config.train.output, config);
    console.note("try it: dsrasq eval perplexity --model " + config.train.output + " --text FILE");
  }
  console.result_lines(result);
  return result;
}

Json train_lm(const LmConfig& given, const Console& console) {
  LmConfig config = given;
  while (config.train.output.ends_with('/')) config.train.output.pop_back();
  train::check_lm_options(config.train);
  watch_interrupts();
  const session::EngineOptions engine{.device = config.device, .threads = config.threads};
  return with_processes(engine, !config.dry_run, [&](const TrainingPlace& place) {
    return train_here(config, console, place);
  });
}

}  // namespace

Command train_lm_command() {
  return make_command<LmConfig>(
      {"train lm", "trains a language model from random weights, sparse attention included",
       "  dsrasq train lm --data books.jsonl.xz -o models/small --device cuda\n"
       "  dsrasq train lm --data books.jsonl.xz --tokenizer my-model/ -o models/full --attention "
       "full --device cuda\n"
       "  dsrasq train lm --data books.txt --tokenizer my-model/ -o models/small --layers 8 "
       "--hidden 512 --heads 8 --dry-run\n"
       "The result is a Hugging Face folder with its adapter in it: the other commands take it as "
       "--model.\nWith --attention gca it is a model that only eval perplexity takes.\n"},
      train_lm);
}

}  // namespace dsrasq::cli
