#pragma once

// The warm-up (design 4.1, step 1): with the base model frozen and attending fully, every layer's
// indexer learns where that layer's attention goes beyond the window.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "dsrasq/train/run_options.h"
#include "dsrasq/train/train_input.h"

namespace dsrasq::train {

struct RetrieverTrainOptions : RunOptions {
  RetrieverTrainOptions() {
    steps = 3000;
    length = 8192;
    long_length = 16384;
    rows = 512;
    warmup = 50;
  }

  std::string init;  ///< an adapter to start from; empty: random parameters
  double learning_rate = 3e-3;
  int64_t n_heads = 4;
  int64_t head_dim = 32;

  template <class Visit>
  void visit(Visit&& visit) {
    visit_run_folder(visit);
    visit_run(visit);
  }

  /// The options that change what a run computes.
  template <class Visit>
  void visit_run(Visit&& visit) {
    visit(init, "init", "an adapter to start from; with --steps 0 it is only measured");
    visit(learning_rate, "lr", "peak learning rate");
    visit(n_heads, "index-heads", "heads of an indexer");
    visit(head_dim, "index-dim", "size of an indexer's head");
    visit_common(visit);
  }
};

/// The share of the far attention mass that an indexer's best k tokens carry, over all layers, and
/// what the best possible k would carry.
struct RetrieverScore {
  double captured64 = 0, ideal64 = 0;
  double captured256 = 0, ideal256 = 0;
  double recall64 = 0, recall_ideal64 = 0;  ///< where a planted fact or echo has to be recalled
  double kl = 0;
};

struct TrainProgress {
  int64_t step = 0, steps = 0;
  double loss = 0;  ///< running mean
  double learning_rate = 0;
  double tokens_per_s = 0;
  double seconds_left = 0;
  const RetrieverScore* score = nullptr;  ///< set after an evaluation
};

struct TrainResult {
  int64_t steps = 0;
  double loss = 0;
  double tokens_per_s = 0;
  double seconds = 0;
  RetrieverScore score;
  std::string adapter;  ///< path
};

/// What a run will take, before it starts.
struct TrainPlan {
  int64_t n_indexers = 0, n_parameters = 0;
  size_t adapter_bytes = 0, checkpoint_bytes = 0;
  size_t step_bytes = 0;    ///< memory of a step beside the model, about
  double flops = 0;         ///< of a step
  double step_seconds = 0;  ///< estimated from a short forward pass
  double total_seconds = 0;
};
TrainPlan plan_retriever_training(const TrainInput& input, const RetrieverTrainOptions& options);

/// Throws kInvalidArgument for options that are out of range or make no sense together.
void check_retriever_options(const TrainInput& input, const RetrieverTrainOptions& options);

/// Trains and writes the adapter. Throws kStopped naming step and layer when a loss or gradient is
/// no number (the last checkpoint stays), kInterrupted after Ctrl-C (a checkpoint is written
/// first), kInvalidArgument for options that make no sense together.
TrainResult train_retriever(const TrainInput& input, const RetrieverTrainOptions& options,
                            const std::function<void(const TrainProgress&)>& progress = nullptr);

}  // namespace dsrasq::train
