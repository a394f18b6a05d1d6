#pragma once

// What `dsrasq train joint` can be told.

#include <cstdint>
#include <string>

#include "dsrasq/train/policy_gradient_options.h"

namespace dsrasq::train {

struct JointTrainOptions {
  std::string data;     ///< .jsonl, .jsonl.xz, plain text, or a token cache
  std::string output;   ///< the adapter
  std::string run_dir;  ///< checkpoints, logs, token cache; empty: beside the output
  bool resume = true;
  double time_budget = 0;  ///< seconds; when set, `steps` follows from the speed of the first ones
  int64_t eval_every = 250;
  int64_t eval_stretches = 4;
  int64_t checkpoint_every = 1000;
  double checkpoint_seconds = 120;
  int64_t max_tokens = 0;  ///< of the corpus; 0: all

  int64_t steps = 1500;
  int64_t batch = 1;
  int64_t length = 4096;
  int64_t long_length = 8192;
  double long_share = 0.1;
  double recall_share = 0.25;
  double local_share = 0;  ///< of the stretches, read without any retrieval

  int64_t window = 512;
  int64_t sinks = 4;
  int64_t block = 512;
  int64_t top_k = 64;
  int64_t max_distance = 0;  ///< d_max; 0: the starting adapter's, or from the model
  bool fake_quantise = true;

  double kl_weight = 1;
  double ce_weight = 0;
  double retriever_weight = 0.1;
  double conditional_weight = 0.02;
  int64_t rows = 256;
  bool thresholds = false;
  double threshold = 1e-3;  ///< tau at the start, as a share of the attention
  double lambda_ret = 0;
  double lambda_comp = 0;

  int64_t lora_rank = 16;
  double lora_alpha = 32;
  std::string lora_targets = "q,k,v,o,down";
  int64_t slots = 0;

  double lr_retriever = 2e-4;
  double lr_threshold = 1e-2;
  double lr_lora = 5e-4;
  double lr_slots = 1e-3;
  double lr_gates = 2e-2;
  double weight_decay = 0;
  PolicyGradientOptions rl;  ///< the stage after these steps
  int64_t warmup = 20;
  double clip = 1;
  uint64_t seed = 0;

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
    visit(eval_stretches, "eval-stretches", "held-out stretches");
    visit(checkpoint_every, "checkpoint-every", "most steps between checkpoints");
    visit(checkpoint_seconds, "checkpoint-seconds", "most seconds between checkpoints");
    visit(max_tokens, "max-tokens", "tokens taken of the corpus, spread over it; 0: all");
    visit_run(visit);
  }

  /// The options that change what a run computes.
  template <class Visit>
  void visit_run(Visit&& visit) {
    visit(steps, "steps", "optimiser steps; 0: the policy gradient alone");
    visit(batch, "batch", "stretches of text a step");
    visit(length, "length", "tokens of a stretch");
    visit(long_length, "long-length", "tokens of a long stretch");
    visit(long_share, "long-share", "share of long stretches");
    visit(recall_share, "recall-share", "share of stretches with planted facts and echoes");
    visit(local_share, "local-share", "share of stretches read without retrieval, for the slots");
    visit(window, "window", "recent tokens that every query attends to");
    visit(sinks, "sinks", "first tokens that every query attends to");
    visit(block, "block", "tokens that the slots take in at once");
    visit(top_k, "topk", "most tokens retrieved for a query and layer");
    visit(max_distance, "max-distance", "longest distance that RoPE sees; 0: the adapter's");
    visit(fake_quantise, "fake-quantise", "round index queries and keys as inference does");
    visit(kl_weight, "kl-weight", "weight of the KL to the untouched model with full attention");
    visit(ce_weight, "ce-weight", "weight of the text's own negative log-likelihood");
    visit(retriever_weight, "retriever-weight",
          "weight of the warm-up's KL, which keeps the retriever calibrated; 0: none");
    visit(conditional_weight, "conditional-weight", "in it, weight of the KL among far tokens");
    visit(rows, "rows", "query rows sampled from a stretch for it and for race and bernoulli");
    visit(thresholds, "thresholds", "train a threshold for every layer; fewer than --topk then do");
    visit(threshold, "threshold", "share of the attention from which a token is worth retrieving");
    visit(lambda_ret, "lambda-ret", "cost of a retrieved token, of E|S| by query and layer");
    visit(lambda_comp, "lambda-comp", "cost of 1e6 operations of attention by query and layer");
    visit(lora_rank, "lora-rank", "rank of the changes to the model's weights; 0: none");
    visit(lora_alpha, "lora-alpha", "their scale times the rank");
    visit(lora_targets, "lora-targets", "the matrices that change, of q, k, v, o and down");
    visit(slots, "slots", "latent slots a layer; 0: none, or the starting adapter's");
    visit(lr_retriever, "lr-retriever", "peak learning rate of the retriever; 0: it stays");
    visit(lr_threshold, "lr-threshold", "peak learning rate of the thresholds");
    visit(lr_lora, "lr-lora", "peak learning rate of the changes to the weights");
    visit(lr_slots, "lr-slots", "peak learning rate of the slots' projections and read-outs");
    visit(lr_gates, "lr-gates", "peak learning rate of the slots' gates and decay");
    visit(weight_decay, "weight-decay", "of the changes to the weights and the slots' matrices");
    visit(warmup, "warmup", "steps to the peak");
    visit(clip, "clip", "largest gradient norm of a group of parameters; 0: no clipping");
    rl.visit(visit);
    visit(seed, "seed", "of parameters, stretches and rows");
  }
};

}  // namespace dsrasq::train
