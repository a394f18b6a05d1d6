#pragma once

// From official files to a folder with tokens to train on, what is known of each text, and a
// manifest.

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "dsrasq/data/corpus_reader.h"
#include "dsrasq/prepare/dataset_kind.h"
#include "dsrasq/prepare/prepare_options.h"

namespace dsrasq::text {
class Tokenizer;
}

namespace dsrasq::prepare {

/// What will be made of which files.
struct DatasetPlan {
  data::CorpusFiles files;
  DatasetKind kind{};
};

/// Throws kInvalidArgument for options that are out of range or do not go together, and what
/// find_corpus_files and choose_kind throw.
DatasetPlan plan_dataset(const PrepareOptions& options);

/// Makes the folder `options.output`: `data.tokens`, a token cache that every training takes as
/// its data; `records.jsonl`, or of samples `questions.jsonl`, a line for each text with its place
/// among the tokens; `manifest.json`, written last, which is returned. A finished folder is left
/// as it is, an unfinished one goes on. The files are the same bytes for any number of threads.
/// All texts are held in memory. `progress` gets texts done and in all. Throws as the readers do,
/// as DatasetFolder and QuestionContexts do, and kResourceExhausted when the texts do not fit.
nlohmann::ordered_json prepare_dataset(const DatasetPlan& plan, const PrepareOptions& options,
                                       const text::Tokenizer& tokenizer,
                                       const std::function<void(int64_t, int64_t)>& progress);

}  // namespace dsrasq::prepare
