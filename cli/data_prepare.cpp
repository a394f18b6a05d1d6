// dsrasq data prepare: official files as a folder with tokens to train on.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/prepare/prepare_dataset.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMaxJobs = 1024;

struct PrepareConfig {
  prepare::PrepareOptions prepare;
  std::string model = session::EngineOptions{}.model;
  int64_t jobs = 0;

  template <class V>
  void visit(V&& v) {
    prepare.visit(v);
    v(model, "model", "whose tokens are made: a GGUF file, a Hugging Face folder, tokenizer.json");
    v(jobs, "jobs", "CPU threads; 0: all cores");
  }
};

Json prepare_data(const PrepareConfig& config, const Console& console) {
  DSRASQ_CHECK(config.jobs >= 0 && config.jobs <= kMaxJobs, kInvalidArgument, "cli.data_prepare",
               "--jobs is ", config.jobs, ", want 0 to ", kMaxJobs);
  watch_interrupts();
  const prepare::DatasetPlan plan = prepare::plan_dataset(config.prepare);
  console.note(concat("format ", plan.files.format, ", kind ", prepare::kind_name(plan.kind),
                      ", files: ", plan.files.paths.size()));
  if (config.jobs > 0) set_num_threads(static_cast<int>(config.jobs));
  const auto tokenizer = text::load_tokenizer(config.model);
  Json manifest;
  {
    Progress bar({.label = "encoding", .unit = "texts"}, !console.quiet());
    manifest =
        prepare::prepare_dataset(plan, config.prepare, *tokenizer,
                                 [&](int64_t done, int64_t total) { bar.update(done, total); });
  }
  const std::filesystem::path folder = config.prepare.output;
  const std::string tokens = (folder / manifest["files"][0]["file"].get<std::string>()).string();
  write_config(tokens, config);
  Json result{{"data", tokens}, {"manifest", (folder / "manifest.json").string()}};
  for (const char* name : {"kind", "format"}) result[name] = manifest["settings"][name];
  for (const auto& [name, value] : manifest.items())
    if (name != "settings" && name != "files") result[name] = value;
  if (manifest.value("only_evaluates", false))
    console.warn(concat(plan.files.format, " data is there to evaluate with, not to train on"));
  console.result_lines(result);
  return result;
}

}  // namespace

Command data_prepare_command() {
  return make_command<PrepareConfig>(
      {"data prepare",
       "official data sets and texts as tokens in blocks, with what is known of each",
       "  dsrasq data prepare reuters21578/ -o news --licence \"research use\"\n"
       "  dsrasq data prepare hotpot_train_v1.1.json --length 16384 -o hotpot-16k\n"
       "  dsrasq data prepare dialogues_*.json --kind dialogue --length 8192 -o services\n"
       "  dsrasq data prepare train.en train.de --format parallel -o multi30k\n"
       "  dsrasq train retriever --data news/data.tokens -o a.safetensors\n"
       "Formats: " +
           data::corpus_format_names() + ".\n"},
      prepare_data);
}

}  // namespace dsrasq::cli
