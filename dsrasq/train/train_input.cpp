#include "dsrasq/train/train_input.h"

#include <filesystem>

#include "dsrasq/core/error.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::train {

namespace fs = std::filesystem;

TrainInput train_input(const model::Transformer& model, const text::Tokenizer& tokenizer,
                       const std::string& fingerprint, const std::string& name) {
  TrainInput input{.model = model,
                   .encode = [&](std::string_view text) { return tokenizer.encode(text); },
                   .prefix = {},
                   .vocabulary = tokenizer.fingerprint(),
                   .fingerprint = fingerprint,
                   .name = name};
  if (tokenizer.adds_bos() && tokenizer.bos()) input.prefix.push_back(*tokenizer.bos());
  return input;
}

std::string prepare_training_tokens(const TrainInput& input, const RunOptions& options,
                                    const std::function<void(int64_t, int64_t)>& progress) {
  fs::path path = options.data;
  if (!TokenCache::is_one(path)) {
    path = fs::path(run_folder(options)) / "corpus.tokens";
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

StretchOptions stretch_options(const TrainInput& input, const RunOptions& options) {
  return {.length = options.length,
          .long_length = options.long_length,
          .long_share = options.long_share,
          .recall_share = options.recall_share,
          .recall = {.min_distance = options.window + options.window / 4},
          .prefix = input.prefix,
          .seed = options.seed};
}

}  // namespace dsrasq::train
