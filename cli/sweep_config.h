#pragma once

// The options of `dsrasq sweep`, and the points that they stand for.

#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/session/engine.h"
#include "dsrasq/sweep/point.h"

namespace dsrasq::cli {

struct SweepConfig {
  std::vector<std::string> train_options;
  std::string output, data;
  std::vector<std::string> text;
  session::EngineOptions engine;
  std::vector<int64_t> top_k{64, 128, 256}, slots{64, 128, 256};
  std::vector<double> beta{0.9, 0.99, 0.999}, lambda_ret{0}, lambda_comp{0};
  int64_t steps = 50;
  double time_budget = 0;
  int64_t length = 8192, samples = 12, pool = 0, needle_samples = 0, needle_pool = 0;
  std::string retrieve = "auto";
  int64_t jobs = 0;
  std::vector<int64_t> gpus;
  bool keep_adapters = true;

  template <class V>
  void visit(V&& v) {
    v(output, "output", "the folder for plan, results and table");
    v(data, "data", "what to train on, as train joint takes it; text is encoded once");
    v(text, "text", "files to measure on, as eval perplexity takes them");
    v(engine.model, "model", "the base model: a GGUF file or a Hugging Face folder");
    v(engine.adapter, "adapter", "to start from: a file, none, or auto");
    v(top_k, "topk", "most tokens retrieved for a query and layer");
    v(slots, "slots", "latent slots a layer; 0: none, or the starting adapter's");
    v(beta, "beta", "share of a slot that stays at each block; 0: learned");
    v(lambda_ret, "lambda-ret", "cost of a retrieved token");
    v(lambda_comp, "lambda-comp", "cost of 1e6 operations of attention");
    v(steps, "steps", "of each training");
    v(time_budget, "time-budget", "seconds of each training, instead of --steps; 0: as many steps");
    v(length, "length", "tokens of the stretches and needles that are measured on");
    v(samples, "samples", "stretches that perplexity is measured on");
    v(pool, "pool",
      "older tokens that can be retrieved, in training and after it; 0: as each "
      "command has it");
    v(retrieve, "retrieve", "how many are: topk, threshold, budget, or auto (as trained)");
    v(needle_samples, "needle-samples", "needles looked for at each point; 0: none");
    v(needle_pool, "needle-pool", "the pool while needles are looked for; 0: --pool");
    v(jobs, "jobs", "points at a time; 0: one for each GPU, or one");
    v(gpus, "gpus", "numbers of the GPUs to use; default: all");
    v(keep_adapters, "keep-adapters", "keep the adapter of every point");
    v(engine.device, "device", "cpu or cuda");
    v(engine.threads, "threads", "CPU threads of a point; 0: its share of the cores");
    v(train_options, "TRAIN-OPTIONS", "after --: more options of train joint");
  }
};

/// How many points are worked on at a time: as --jobs says, or what there is to work on.
int64_t sweep_jobs(const SweepConfig& config);

/// What is done at every point, with `data` to train on. Throws kInvalidArgument for options that
/// no point or not every one could have.
std::vector<sweep::Point> sweep_points(const SweepConfig& config, const std::string& data);

}  // namespace dsrasq::cli
