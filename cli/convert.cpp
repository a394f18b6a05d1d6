// dsrasq convert: from a pre-trained model to an adapter, by one command with good defaults.

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/command.h"
#include "cli/staged_training.h"
#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/core/error.h"

namespace dsrasq::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInConvert = "cli.convert";
constexpr int64_t kLength = 4096;  // where the model was trained on as many

struct ConvertConfig {
  session::EngineOptions engine{.model = "", .adapter = "none", .dense = true};
  train::StagedTrainOptions train = defaults();
  bool dry_run = false;

  static train::StagedTrainOptions defaults() {
    train::StagedTrainOptions options;
    options.stages = "warmup,joint";
    options.length = 0;
    options.long_share = 0;  // texts need not be that long
    return options;
  }

  template <class V>
  void visit(V&& v) {
    v(engine.model, "MODEL", "the pre-trained model: a GGUF file or a Hugging Face folder");
    train.visit_run_folder(v);
    train.visit_warmup_stage(v);
    v(train.steps, "steps", "optimiser steps of the stage joint");
    v(train.length, "length", "tokens of a stretch; 0: 4096, or the model's context if shorter");
    v(train.task_share, "task-share", "share of stretches that end with a question of --tasks");
    v(train.negatives_share, "negatives-share",
      "share of the stretches without a task that have blocks of --negatives");
    v(train.answer_weight, "answer-weight", "weight of the answers to --tasks in the loss");
    v(train.window, "window", "recent tokens that every query attends to");
    v(train.sinks, "sinks", "first tokens that every query attends to");
    v(train.lora_rank, "lora-rank", "rank of the changes to the model's weights; 0: none");
    v(train.slots, "slots", "latent slots a layer, for what leaves --pool; 0: none");
    v(train.pool, "pool", "older tokens that can be retrieved in training; 0: all");
    v(train.pool_share, "pool-share", "share of stretches limited to --pool");
    v(train.seed, "seed", "of parameters, stretches and rows");
    v(engine.device, "device", "cpu or cuda");
    v(engine.threads, "threads", "CPU threads; 0: all cores");
    v(dry_run, "dry-run", "say what the run will take, and leave");
  }
};

std::string model_name(fs::path model) {
  if (!model.has_filename()) model = model.parent_path();
  std::error_code error;
  return (fs::is_directory(model, error) ? model.filename() : model.stem()).string();
}

// An adapter that is there already was not asked to be replaced; that of a run which goes on was.
std::string default_output(const ConvertConfig& config) {
  const fs::path path = fs::path("adapters") / (model_name(config.engine.model) + ".safetensors");
  train::RunOptions named = config.train;
  named.output = path.string();
  DSRASQ_CHECK(!fs::exists(path) || fs::exists(train::run_folder(named)), kInvalidArgument,
               kInConvert, path.string(),
               " is there already; name an adapter to write with --output");
  return named.output;
}

// What the model says about options that were left open.
void resolve(ConvertConfig& config) {
  DSRASQ_CHECK(!config.engine.model.empty(), kInvalidArgument, kInConvert, "MODEL is missing");
  train::StagedTrainOptions& options = config.train;
  const auto checkpoint = checkpoint::Checkpoint::open(config.engine.model);
  if (options.output.empty()) options.output = default_output(config);
  if (options.length == 0)
    options.length = std::max(std::min(kLength, checkpoint->config().context_length),
                              2 * (options.window + options.sinks));
  options.long_length = options.length;
}

nlohmann::ordered_json convert(const ConvertConfig& given, const Console& console) {
  ConvertConfig config = given;
  resolve(config);
  nlohmann::ordered_json result =
      run_staged_training(config.engine, config.train, config.dry_run, console, [&] {
        write_config(config.train.output, config);
        console.note("try it: dsrasq ask --model " + config.engine.model + " --adapter " +
                     config.train.output + " --context FILE QUESTION");
      });
  FieldList fields;
  fields.add(config);
  result["config"] = fields.json();
  return result;
}

}  // namespace

Command convert_command() {
  return make_command<ConvertConfig>(
      {"convert",
       "makes the adapter of any supported model: the retriever's warm-up, then joint training",
       "  dsrasq convert models/my-model.gguf --data books.jsonl.xz --device cuda\n"
       "  dsrasq convert my-model/ -o a.safetensors --data books.txt --time-budget 900\n"
       "  dsrasq convert my-model/ --data books.txt --dry-run\n"
       "More can be said to dsrasq train joint --stages warmup,joint.\n"},
      convert);
}

}  // namespace dsrasq::cli
