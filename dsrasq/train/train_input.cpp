#include "dsrasq/train/train_input.h"

#include <algorithm>
#include <filesystem>

#include "dsrasq/core/error.h"
#include "dsrasq/data/text_memory.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

// All tokens are held until they are written, of the texts one at a time.
void check_fits(const RunOptions& options) {
  const data::TextMemory memory = data::text_memory(options.data);
  uint64_t tokens = memory.tokens;
  if (options.max_tokens > 0)
    tokens = std::min(tokens, static_cast<uint64_t>(options.max_tokens) * sizeof(int32_t));
  data::check_free_memory(tokens + memory.one_text, options.data);
}

std::string prepare_here(const TrainInput& input, const RunOptions& options,
                         const std::function<void(int64_t, int64_t)>& progress) {
  if (input.processes->is_first()) check_outputs(options);
  fs::path path = options.data;
  if (!TokenCache::is_one(path)) {
    path = fs::path(run_folder(options)) / "corpus.tokens";
    if (!TokenCache::is_one(path)) check_fits(options);
    tokenise_corpus(options.data, input.encode,
                    {.vocabulary = input.vocabulary, .max_tokens = options.max_tokens}, path,
                    progress);
  }
  const TokenCache cache(path);
  DSRASQ_CHECK(cache.vocabulary() == input.vocabulary, kBadInput, "train.input", path.string(),
               ": tokens of another vocabulary (", cache.vocabulary(), ", the model's is ",
               input.vocabulary, ")");
  return path.string();
}

}  // namespace

TrainInput train_input(const model::Transformer& model, const text::Tokenizer& tokenizer,
                       const std::string& fingerprint, const std::string& name) {
  TrainInput input{.model = model,
                   .encode = [&](std::string_view text) { return tokenizer.encode(text); },
                   .prefix = {},
                   .vocabulary = tokenizer.fingerprint(),
                   .fingerprint = fingerprint,
                   .name = name,
                   .end = tokenizer.eos()};
  if (tokenizer.adds_bos() && tokenizer.bos()) input.prefix.push_back(*tokenizer.bos());
  return input;
}

std::string prepare_training_tokens(const TrainInput& input, const RunOptions& options,
                                    const std::function<void(int64_t, int64_t)>& progress) {
  std::string path;
  input.processes->first_then_others([&] { path = prepare_here(input, options, progress); });
  return path;
}

void check_shares(const TrainInput& input, const RunOptions& options) {
  DSRASQ_CHECK(options.batch % input.processes->size() == 0, kInvalidArgument, "train.input",
               "--batch is ", options.batch, " stretches, which ", input.processes->size(),
               " processes cannot share evenly; want a multiple");
}

TrainInput with_extra_texts(TrainInput input, const RunOptions& options) {
  if (!options.negatives.empty() && input.negatives == nullptr)
    input.negatives = std::make_shared<NeighbourTable>(options.negatives);
  if (options.tasks.empty() || input.tasks != nullptr) return input;
  const TaskTextOptions task_options{.length = options.length,
                                     .prefix = static_cast<int64_t>(input.prefix.size()),
                                     .end = input.end};
  input.tasks = std::make_shared<TaskTexts>(options.tasks, input.encode, task_options);
  return input;
}

std::string data_identity(const TrainInput& input, const TokenCache& cache) {
  std::string text = concat(cache.vocabulary(), "/", cache.source());
  if (input.tasks != nullptr) text += "/" + input.tasks->fingerprint();
  if (input.negatives != nullptr) text += "/negatives " + input.negatives->fingerprint();
  return text;
}

StretchOptions stretch_options(const TrainInput& input, const RunOptions& options) {
  return {.length = options.length,
          .long_length = options.long_length,
          .long_share = options.long_share,
          .recall_share = options.recall_share,
          .recall = {.min_distance = options.window + options.window / 4},
          .prefix = input.prefix,
          .tasks = input.tasks.get(),
          .task_share = options.task_share,
          .negatives = input.negatives.get(),
          .negatives_share = options.negatives_share,
          .seed = options.seed};
}

}  // namespace dsrasq::train
