#include "dsrasq/train/lm_tokenizer.h"

#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/log.h"
#include "dsrasq/text/bpe_trainer.h"
#include "dsrasq/train/corpus_parts.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

// Enough for the words of a language; more costs time and changes rare tokens alone.
constexpr uint64_t kBytes = uint64_t{48} << 20;

void train_here(const LmTrainOptions& options, const fs::path& folder) {
  DSRASQ_CHECK(!TokenCache::is_one(options.data), kInvalidArgument, "train.lm", options.data,
               " holds tokens, so --tokenizer has to name the tokenizer that made them");
  const CorpusParts parts(options.data, kBytes);
  const std::string source = concat(parts.fingerprint(), " ", options.vocab);
  const fs::path record = folder / "trained_on.txt";  // written last
  std::error_code error;
  if (fs::exists(record, error) && read_file(record) == source) return;
  fs::create_directories(folder, error);  // writing says what is wrong
  log(LogLevel::kInfo, concat("trains a tokenizer of ", options.vocab, " tokens"));
  text::BpeTrainer trainer;
  parts.read([&](std::string_view text) { trainer.add(text); });
  text::write_tokenizer(folder, trainer.train(options.vocab));
  write_file(record, source);
}

}  // namespace

fs::path ready_lm_tokenizer(const LmTrainOptions& options, ProcessGroup& processes) {
  if (!options.tokenizer.empty()) return options.tokenizer;
  const fs::path folder = fs::path(run_folder(options)) / "tokenizer";
  processes.first_then_others([&] { train_here(options, folder); });
  return folder;
}

}  // namespace dsrasq::train
