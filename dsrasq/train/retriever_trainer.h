#pragma once

// The warm-up (design 4.1, step 1): with the base model frozen and attending fully, every layer's
// indexer learns where that layer's attention goes beyond the window.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dsrasq/model/transformer.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::text {
class Tokenizer;
}

namespace dsrasq::train {

struct RetrieverTrainOptions {
  std::string data;     ///< .jsonl, .jsonl.xz, plain text, or a token cache
  std::string output;   ///< the adapter
  std::string run_dir;  ///< checkpoints, logs, token cache; empty: beside the output
  std::string init;     ///< an adapter to start from; empty: random parameters
  int64_t steps = 3000;
  double time_budget = 0;  ///< seconds; when set, `steps` follows from the speed of the first ones
  int64_t batch = 1;       ///< stretches a step
  int64_t length = 8192;
  int64_t long_length = 16384;
  double long_share = 0.1;
  double recall_share = 0.25;
  int64_t rows = 512;  ///< query rows sampled from a stretch
  double learning_rate = 3e-3;
  int64_t warmup = 50;
  double clip = 1;
  double conditional_weight = 0.02;
  bool fake_quantise = true;
  int64_t window = 512;
  int64_t sinks = 4;
  int64_t n_heads = 4;
  int64_t head_dim = 32;
  int64_t max_distance = 0;  ///< d_max; 0: 0.73 of the trained context (6,000 of 8,192)
  int64_t eval_every = 250;
  int64_t eval_stretches = 4;
  int64_t checkpoint_every = 500;
  double checkpoint_seconds = 120;
  int64_t max_tokens = 0;  ///< of the corpus; 0: all
  uint64_t seed = 0;
  bool resume = true;

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data",
          "what to train on: .jsonl(.xz) with a text a record, plain text, or tokens");
    visit(output, "output", "the adapter to write");
    visit(run_dir, "run-dir", "checkpoints, TensorBoard logs and token cache; default: OUTPUT.run");
    visit(resume, "resume", "go on from the newest checkpoint of the run folder");
    visit(time_budget, "time-budget", "seconds; sets --steps by the speed of the first ones");
    visit(eval_every, "eval-every",
          "steps between evaluations on held-out text; 0: only at the end");
    visit(eval_stretches, "eval-stretches", "held-out stretches of each kind");
    visit(checkpoint_every, "checkpoint-every", "most steps between checkpoints");
    visit(checkpoint_seconds, "checkpoint-seconds", "most seconds between checkpoints");
    visit(max_tokens, "max-tokens", "tokens taken of the corpus, spread over it; 0: all");
    visit_run(visit);
  }

  /// The options that change what a run computes.
  template <class Visit>
  void visit_run(Visit&& visit) {
    visit(init, "init", "an adapter to start from; with --steps 0 it is only measured");
    visit(steps, "steps", "optimiser steps");
    visit(batch, "batch", "stretches of text a step");
    visit(length, "length", "tokens of a stretch");
    visit(long_length, "long-length", "tokens of a long stretch, with clamped distances");
    visit(long_share, "long-share", "share of long stretches");
    visit(recall_share, "recall-share", "share of stretches with planted facts and echoes");
    visit(rows, "rows", "query rows sampled from a stretch");
    visit(learning_rate, "lr", "peak learning rate");
    visit(warmup, "warmup", "steps to the peak");
    visit(clip, "clip", "largest gradient norm of a layer's indexer; 0: no clipping");
    visit(conditional_weight, "conditional-weight", "weight of the KL among far tokens alone");
    visit(fake_quantise, "fake-quantise", "round queries and keys as inference does");
    visit(window, "window", "recent tokens that need no retriever");
    visit(sinks, "sinks", "first tokens that need no retriever");
    visit(n_heads, "index-heads", "heads of an indexer");
    visit(head_dim, "index-dim", "size of an indexer's head");
    visit(max_distance, "max-distance", "longest distance that RoPE sees; 0: from the model");
    visit(seed, "seed", "of parameters, stretches and rows");
  }
};

/// What training works on.
struct TrainInput {
  const model::Transformer& model;
  Encode encode;                ///< text to token ids, without special tokens
  std::vector<int32_t> prefix;  ///< what a sequence begins with (BOS), where the model wants it
  std::string vocabulary;       ///< fingerprint of the tokenizer
  std::string fingerprint;      ///< of the base model
  std::string name;             ///< of the base model
};

/// Of a loaded model; both must outlive the result. `fingerprint` is that of its checkpoint.
TrainInput train_input(const model::Transformer& model, const text::Tokenizer& tokenizer,
                       const std::string& fingerprint, const std::string& name);

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

/// The token cache that training reads, written first when `data` is text: its path.
std::string prepare_training_tokens(
    const TrainInput& input, const RetrieverTrainOptions& options,
    const std::function<void(int64_t, int64_t)>& progress = nullptr);

/// Trains and writes the adapter. Throws kStopped naming step and layer when a loss or gradient is
/// no number (the last checkpoint stays), kInterrupted after Ctrl-C (a checkpoint is written
/// first), kInvalidArgument for options that make no sense together.
TrainResult train_retriever(const TrainInput& input, const RetrieverTrainOptions& options,
                            const std::function<void(const TrainProgress&)>& progress = nullptr);

}  // namespace dsrasq::train
