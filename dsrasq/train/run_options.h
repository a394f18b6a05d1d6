#pragma once

// What all trainings can be told: where a run keeps what, which text it reads, and how long.

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace dsrasq::train {

struct RunOptions {
  std::string data;     ///< .jsonl, .jsonl.xz, plain text, or a token cache
  std::string output;   ///< the adapter
  std::string run_dir;  ///< checkpoints, logs, token cache; empty: beside the output
  std::string profile;  ///< a file for where the time of a few steps goes; empty: none
  bool resume = true;
  double time_budget = 0;  ///< seconds; when set, `steps` follows from the speed of the first ones
  int64_t eval_every = 250;
  int64_t eval_stretches = 4;
  int64_t checkpoint_every = 500;
  double checkpoint_seconds = 120;
  int64_t max_tokens = 0;          ///< of the corpus; 0: all
  std::vector<std::string> tasks;  ///< files of questions, instructions and dialogues
  std::string negatives;           ///< a file of `data index`; empty: none

  int64_t steps = 0;
  int64_t batch = 1;  ///< stretches a step
  int64_t length = 0;
  int64_t long_length = 0;
  double long_share = 0.1;
  double recall_share = 0.25;
  double task_share = 0.25;
  double negatives_share = 0.25;
  int64_t rows = 0;  ///< query rows sampled from a stretch
  double conditional_weight = 0.02;
  bool fake_quantise = true;
  int64_t window = 512;
  int64_t sinks = 4;
  int64_t max_distance = 0;  ///< d_max; 0: the adapter's, or 0.73 of the trained context
  int64_t warmup = 0;
  double clip = 1;
  uint64_t seed = 0;

  /// Those that do not change what a run computes.
  template <class Visit>
  void visit_run_folder(Visit&& visit) {
    visit(data, "data",
          "what to train on: .jsonl(.xz) with a text a record, plain text, or tokens");
    visit(output, "output", "the adapter to write");
    visit_loop(visit);
    visit(tasks, "tasks",
          "questions, instructions and dialogues to train on too: files in the formats of eval qa "
          "and its like, prompt/completion or inputs/targets records, dialogues with turns; never "
          "files that a model is to be evaluated on");
    visit(negatives, "negatives",
          "the index of data index over --data: some stretches have blocks of other texts that are "
          "nearest to a passage between it and what is asked of it");
  }

  /// Those of them that the loop of every training has.
  template <class Visit>
  void visit_loop(Visit&& visit) {
    visit(run_dir, "run-dir", "checkpoints, TensorBoard logs and token cache; default: OUTPUT.run");
    visit(profile, "profile",
          "file to write where the time of two early steps goes, by operator; on a GPU with "
          "CUDA_LAUNCH_BLOCKING=1");
    visit(resume, "resume", "go on from the newest checkpoint of the run folder");
    visit(time_budget, "time-budget", "seconds; sets --steps by the speed of the first ones");
    visit(eval_every, "eval-every",
          "steps between evaluations on held-out text; 0: only at the end");
    visit(eval_stretches, "eval-stretches", "held-out stretches of each kind");
    visit(checkpoint_every, "checkpoint-every", "most steps between checkpoints");
    visit(checkpoint_seconds, "checkpoint-seconds", "most seconds between checkpoints");
    visit(max_tokens, "max-tokens", "tokens taken of the corpus, spread over it; 0: all");
  }

  /// Those that do, and that every training has.
  template <class Visit>
  void visit_common(Visit&& visit) {
    visit(steps, "steps", "optimiser steps");
    visit(batch, "batch", "stretches of text a step");
    visit(length, "length", "tokens of a stretch");
    visit(long_length, "long-length",
          "tokens of the longest stretch; long ones are drawn evenly from --length doubled once, "
          "twice ... up to it");
    visit(long_share, "long-share", "share of long stretches");
    visit(recall_share, "recall-share", "share of stretches with planted facts and echoes");
    visit(task_share, "task-share", "share of stretches that end with a question of --tasks");
    visit(negatives_share, "negatives-share",
          "share of the stretches without a task that have blocks of --negatives");
    visit(rows, "rows", "query rows sampled from a stretch for the retriever's own loss");
    visit(conditional_weight, "conditional-weight", "in it, weight of the KL among far tokens");
    visit(fake_quantise, "fake-quantise", "round index queries and keys as inference does");
    visit(window, "window", "recent tokens that every query attends to");
    visit(sinks, "sinks", "first tokens that every query attends to");
    visit(max_distance, "max-distance",
          "longest distance that RoPE sees; 0: the starting adapter's, or from the model");
    visit(warmup, "warmup", "steps to the peak of the learning rates");
    visit(clip, "clip", "largest gradient norm of a group of parameters; 0: no clipping");
    visit(seed, "seed", "of parameters, stretches and rows");
  }
};

/// Throws kInvalidArgument naming the first of the common options that is out of range.
void check_run_options(const RunOptions& options, const char* where);

std::string run_folder(const RunOptions& options);

/// Throws kOutput naming the path when the adapter, something in the run folder or the profile
/// could not be written. Leaves nothing behind; folders that are missing are made later,
/// but not the profile's.
void check_outputs(const RunOptions& options);

/// The options that change what a run computes, by name, as a checkpoint keeps them.
template <class Options>
std::map<std::string, std::string> run_options(Options options) {
  std::map<std::string, std::string> values;
  options.visit_run([&](auto& value, const char* name, const char*) {
    std::ostringstream out;
    out << std::boolalpha << value;
    values[name] = out.str();
  });
  // A budget decides the number of steps, which the checkpoint then keeps.
  if (options.time_budget > 0) values.erase("steps");
  // Without tasks these change nothing.
  if (options.tasks.empty())
    for (const char* name : {"task-share", "answer-weight"}) values.erase(name);
  if (options.negatives.empty()) values.erase("negatives-share");
  return values;
}

}  // namespace dsrasq::train
