// dsrasq data index: the nearest blocks of other documents, for training with hard negatives.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/progress.h"
#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/prepare/index_text.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::cli {
namespace {

constexpr int64_t kMaxIndexJobs = 1024;

struct IndexConfig {
  prepare::IndexOptions index;
  std::string model = session::EngineOptions{}.model;
  int64_t jobs = 0;

  template <class V>
  void visit(V&& v) {
    index.visit(v);
    v(model, "model", "whose input embeddings the blocks' vectors are made of");
    v(jobs, "jobs", "CPU threads; 0: all cores");
  }
};

nlohmann::ordered_json index_data(const IndexConfig& config, const Console& console) {
  DSRASQ_CHECK(config.jobs >= 0 && config.jobs <= kMaxIndexJobs, kInvalidArgument, "cli.data_index",
               "--jobs is ", config.jobs, ", want 0 to ", kMaxIndexJobs);
  prepare::check_index_options(config.index);  // before the model is opened
  watch_interrupts();
  if (config.jobs > 0) set_num_threads(static_cast<int>(config.jobs));
  const auto checkpoint = checkpoint::Checkpoint::open(config.model);
  const auto tokenizer = text::load_tokenizer(config.model);
  nlohmann::ordered_json result;
  {
    std::optional<Progress> bar;
    std::string phase;
    result = prepare::index_text(config.index, {*checkpoint, tokenizer->fingerprint()},
                                 [&](const char* now, int64_t done, int64_t total) {
                                   if (phase != now)
                                     bar.emplace(ProgressFigures{.label = now, .unit = "blocks"},
                                                 !console.quiet());
                                   phase = now;
                                   bar->update(done, total);
                                 });
  }
  write_config(config.index.output, config);
  console.result_lines(result);
  return result;
}

}  // namespace

Command data_index_command() {
  return make_command<IndexConfig>(
      {"data index", "the nearest blocks of other documents, to train with hard negatives",
       "  dsrasq data index books.tokens -o books.index\n"
       "  dsrasq data index hotpot-16k -o hotpot.index --kind hnsw --labels near.jsonl\n"
       "  dsrasq train joint --data books.tokens --negatives books.index -o a.safetensors\n"},
      index_data);
}

}  // namespace dsrasq::cli
