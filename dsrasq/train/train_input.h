#pragma once

// What a training works on: the base model, and text as tokens of its vocabulary.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/model/transformer.h"
#include "dsrasq/train/process_group.h"
#include "dsrasq/train/run_options.h"
#include "dsrasq/train/stretch_sampler.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::text {
class Tokenizer;
}

namespace dsrasq::train {

struct TrainInput {
  const model::Transformer& model;
  Encode encode;                 ///< text to token ids, without special tokens
  std::vector<int32_t> prefix;   ///< what a sequence begins with (BOS), where the model wants it
  std::string vocabulary;        ///< fingerprint of the tokenizer
  std::string fingerprint;       ///< of the base model
  std::string name;              ///< of the base model
  std::optional<int32_t> end{};  ///< the token that ends an answer, if there is one
  std::shared_ptr<const TaskTexts> tasks{};           ///< see with_extra_texts
  std::shared_ptr<const NeighbourTable> negatives{};  ///< the same
  /// Those that train together; by default this process alone.
  std::shared_ptr<ProcessGroup> processes = std::make_shared<ProcessGroup>();
};

/// Of a loaded model; both must outlive the result. `fingerprint` is that of its checkpoint.
TrainInput train_input(const model::Transformer& model, const text::Tokenizer& tokenizer,
                       const std::string& fingerprint, const std::string& name);

/// The token cache that training reads, written first, by the first process, when `data` is text:
/// its path. Before that throws as check_outputs does, and kResourceExhausted when the text does
/// not fit into the free memory.
std::string prepare_training_tokens(
    const TrainInput& input, const RunOptions& options,
    const std::function<void(int64_t, int64_t)>& progress = nullptr);

/// Throws kInvalidArgument unless every process gets as many stretches of a step's batch.
void check_shares(const TrainInput& input, const RunOptions& options);
/// The input with the options' tasks and negatives, if any, read unless it has them. Throws as
/// TaskTexts and NeighbourTable do.
TrainInput with_extra_texts(TrainInput input, const RunOptions& options);

/// What the options say a stretch is.
StretchOptions stretch_options(const TrainInput& input, const RunOptions& options);

/// What a training reads, for a checkpoint's identity.
std::string data_identity(const TrainInput& input, const TokenCache& cache);

}  // namespace dsrasq::train
