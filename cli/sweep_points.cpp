// From the lists of a sweep to the commands of every point.

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/eval_config.h"
#include "cli/joint_config.h"
#include "cli/options.h"
#include "cli/sweep_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/eval/needle.h"
#include "dsrasq/eval/perplexity.h"
#include "dsrasq/train/joint_trainer.h"

namespace dsrasq::cli {
namespace {

using sweep::Json;
using Words = std::vector<std::string>;

constexpr const char* kInSweepPoints = "cli.sweep";
constexpr const char* kAdapter = "adapter.safetensors";

// What the sweep says to train joint itself, or must not be said for a single point.
constexpr auto kOwn = std::to_array<std::string_view>(
    {"data",        "o",       "output",  "model",      "adapter",     "device", "threads",
     "topk",        "slots",   "beta",    "lambda-ret", "lambda-comp", "pool",   "steps",
     "time-budget", "run-dir", "profile", "dry-run",    "json",        "help",   "h"});

void check_train_options(const Words& words) {
  for (const std::string& word : words) {
    if (!word.starts_with('-')) continue;
    const std::string name = word.substr(word.find_first_not_of('-'));
    const bool is_own =
        std::find(kOwn.begin(), kOwn.end(), name.substr(0, name.find('='))) != kOwn.end();
    DSRASQ_CHECK(!is_own, kInvalidArgument, kInSweepPoints, word.substr(0, word.find('=')),
                 " is no option of single points: it stands before the -- or not at all");
  }
}

void check_numbers(const SweepConfig& config) {
  const auto want = [](const char* name, int64_t value, int64_t least, int64_t most) {
    DSRASQ_CHECK(value >= least && value <= most, kInvalidArgument, kInSweepPoints, "--", name,
                 " is ", value, ", want ", least, " to ", most);
  };
  want("length", config.length, 16, 1 << 24);
  want("samples", config.samples, 1, 1'000'000);
  want("needle-samples", config.needle_samples, 0, 1'000'000);
  want("pool", config.pool, 0, 1 << 24);
  want("needle-pool", config.needle_pool, 0, 1 << 24);
  DSRASQ_CHECK(config.time_budget >= 0, kInvalidArgument, kInSweepPoints,
               "--time-budget has to be 0 or more");
}

// The options that a command takes these words for.
template <class Config>
Json resolve(const char* command, const Words& words, Config& config) {
  FieldList fields;
  fields.add(config);
  parse_options({command, "", ""}, fields, words);
  return fields.json();
}

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// One point of the grid.
class PointMaker {
 public:
  PointMaker(const SweepConfig& config, const std::string& data)
      : config_(config), data_(data), threads_(threads_of(config)) {}

  sweep::Point make(const sweep::GridPoint& at) const {
    sweep::Point point{.name = at.name,
                       .values = at.values,
                       .options = Json::object(),
                       .stages = {},
                       .scratch = {concat(kAdapter, ".run")}};
    if (!config_.keep_adapters) {
      point.scratch.emplace_back(kAdapter);
      point.scratch.push_back(concat(kAdapter, ".config.json"));
    }
    const std::string adapter = (sweep::point_folder(config_.output, at.name) / kAdapter).string();
    const JointConfig trained = add_training(at, adapter, point);
    const Words shared = reading(at, adapter, trained);
    add_evaluation<EvalConfig<eval::PerplexityOptions>>(
        "perplexity", {"--policy", "full,dsrasq", "--samples", std::to_string(config_.samples)},
        with(shared, pool(config_.pool)), point);
    if (config_.needle_samples > 0)
      add_evaluation<EvalConfig<eval::NeedleOptions>>(
          "needle", {"--policy", "dsrasq", "--samples", std::to_string(config_.needle_samples)},
          with(shared, pool(config_.needle_pool > 0 ? config_.needle_pool : config_.pool)), point);
    return point;
  }

 private:
  static std::string threads_of(const SweepConfig& config) {
    const int64_t share = std::max<int64_t>(1, num_threads() / sweep_jobs(config));
    return std::to_string(config.engine.threads > 0 ? config.engine.threads : share);
  }

  JointConfig add_training(const sweep::GridPoint& at, const std::string& adapter,
                           sweep::Point& point) const {
    Words words = with(config_.train_options,
                       {"--data", data_, "--output", adapter, "--adapter", config_.engine.adapter});
    words = with(with(words, engine()), pool(config_.pool));
    for (const auto& [option, value] : at.values.items()) {
      words.push_back("--" + option);
      words.push_back(value.dump());
    }
    if (config_.time_budget > 0)
      words = with(words, {"--time-budget", Json(config_.time_budget).dump()});
    else
      words = with(words, {"--steps", std::to_string(config_.steps)});
    JointConfig trained;
    Json options = resolve("train joint", words, trained);
    check_joint(trained.train);
    options["data"] = config_.data;
    for (const char* name : {"output", "threads", "dry-run"}) options.erase(name);
    point.options["train"] = std::move(options);
    point.stages.push_back({"train", with({"train", "joint", "--json"}, words), {kAdapter}});
    return trained;
  }

  static void check_joint(const train::StagedTrainOptions& options) {
    static_cast<void>(train::stages_of(options));
    train::check_joint_options(options);
    const bool is_priced = options.lambda_ret > 0 || options.lambda_comp > 0;
    const bool chooses = options.thresholds || options.rl.steps > 0;
    DSRASQ_CHECK(!is_priced || chooses, kInvalidArgument, kInSweepPoints,
                 "--lambda-ret and --lambda-comp change nothing where the number of retrieved "
                 "tokens is fixed: want -- --thresholds or -- --rl-steps N");
  }

  // What both evaluations are told of a point.
  Words reading(const sweep::GridPoint& at, const std::string& adapter,
                const JointConfig& trained) const {
    const Words words{"--length",   std::to_string(config_.length),
                      "--adapter",  adapter,
                      "--topk",     at.values["topk"].dump(),
                      "--retrieve", config_.retrieve,
                      "--window",   std::to_string(trained.train.window),
                      "--sinks",    std::to_string(trained.train.sinks)};
    return with(with(with(words, engine()), {"--text"}), config_.text);
  }

  // What all commands are told.
  Words engine() const {
    return {"--model", config_.engine.model, "--device", config_.engine.device, "--threads",
            threads_};
  }

  static Words pool(int64_t tokens) {
    return tokens > 0 ? Words{"--pool", std::to_string(tokens)} : Words{};
  }

  template <class Config>
  static void add_evaluation(const std::string& name, const Words& own, const Words& shared,
                             sweep::Point& point) {
    Config config;
    Json options = resolve(("eval " + name).c_str(), with(own, shared), config);
    eval::parse_policies(config.policies.policy.name, config.policies.policy);  // for its refusals
    for (const char* unsaid : {"adapter", "threads", "shard", "merge"}) options.erase(unsaid);
    point.options[name] = std::move(options);
    point.stages.push_back({name, with({"eval", name, "--json"}, with(own, shared)), {}});
  }

  const SweepConfig& config_;
  const std::string& data_;
  const std::string threads_;
};

std::vector<Json> numbers(const auto& values) { return {values.begin(), values.end()}; }

// In the names of points only where something has a price.
sweep::Axis price_axis(const char* option, const char* mark, const std::vector<double>& values) {
  return {option, values == std::vector<double>{0} ? "" : mark, numbers(values)};
}

}  // namespace

int64_t sweep_jobs(const SweepConfig& config) {
  DSRASQ_CHECK(config.jobs >= 0 && config.jobs <= 1024, kInvalidArgument, kInSweepPoints,
               "--jobs is ", config.jobs, ", want 0 to 1024");
  if (config.jobs > 0) return config.jobs;
  return std::max<int64_t>(1, static_cast<int64_t>(config.gpus.size()));
}

std::vector<sweep::Point> sweep_points(const SweepConfig& config, const std::string& data) {
  check_numbers(config);
  check_train_options(config.train_options);
  const std::vector<sweep::Axis> axes{{"topk", "k", numbers(config.top_k)},
                                      {"slots", "r", numbers(config.slots)},
                                      {"beta", "beta", numbers(config.beta)},
                                      price_axis("lambda-ret", "ret", config.lambda_ret),
                                      price_axis("lambda-comp", "comp", config.lambda_comp)};
  const PointMaker maker(config, data);
  std::vector<sweep::Point> points;
  for (const sweep::GridPoint& at : sweep::grid_points(axes)) points.push_back(maker.make(at));
  return points;
}

}  // namespace dsrasq::cli
