#pragma once

// A language model from random weights (design 4.1, step 4, "everything when training from
// scratch"): the sparse attention from the first step, the indexers learning along, or full
// attention to compare with.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "dsrasq/train/lm_options.h"
#include "dsrasq/train/process_group.h"

namespace dsrasq::text {
class Tokenizer;
}

namespace dsrasq::train {

struct LmInput {
  const text::Tokenizer& tokenizer;
  std::filesystem::path tokenizer_source;  ///< of `tokenizer`, for text::copy_tokenizer
  at::Device device = at::kCPU;
  std::shared_ptr<ProcessGroup> processes = std::make_shared<ProcessGroup>();
};

struct LmProgress {
  int64_t step = 0, steps = 0;
  double loss = 0;          ///< running mean of the text's negative log-likelihood, by token
  double retriever_kl = 0;  ///< the indexers'
  double learning_rate = 0;
  double tokens_per_s = 0;
  double seconds_left = 0;
  double perplexity = 0;  ///< of held-out text; set after an evaluation
};

struct LmResult {
  int64_t steps = 0, tokens = 0, parameters = 0;
  double loss = 0, retriever_kl = 0;
  double perplexity = 0;  ///< of held-out text
  double tokens_per_s = 0;
  double seconds = 0;
  std::string model;    ///< the folder
  std::string adapter;  ///< path; empty with full attention
};

/// What a run will take, before it starts.
struct LmPlan {
  int64_t n_parameters = 0, n_embedding = 0;
  size_t model_bytes = 0, checkpoint_bytes = 0;
  size_t step_bytes = 0;    ///< memory of a step beside weights and optimiser, about
  double step_seconds = 0;  ///< from one forward pass over a short stretch, about
  double total_seconds = 0;
};
LmPlan plan_lm_training(const LmTrainOptions& options, int64_t vocab_size, at::Device device);

/// Throws kInvalidArgument for options that are out of range or make no sense together.
void check_lm_options(const LmTrainOptions& options);

/// Trains and writes the folder: weights, configuration, tokenizer and, with sparse attention, the
/// adapter. Throws kStopped naming the step when a loss is no number (the last checkpoint stays),
/// kInterrupted after Ctrl-C (a checkpoint is written first), kInvalidArgument when the folder
/// holds a model of another configuration.
LmResult train_lm(const LmInput& input, const LmTrainOptions& options,
                  const std::function<void(const LmProgress&)>& progress = nullptr);

}  // namespace dsrasq::train
