// dsrasq sweep: many short trainings, each measured, and one table.

#include <ATen/Context.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/sweep_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/process.h"
#include "dsrasq/sweep/plan.h"
#include "dsrasq/sweep/point_folder.h"
#include "dsrasq/sweep/queue.h"
#include "dsrasq/sweep/table.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::cli {
namespace {

namespace fs = std::filesystem;
using sweep::Json;

constexpr const char* kInSweep = "cli.sweep";
constexpr const char* kProgram = "/proc/self/exe";

// Before the first point takes its time. The adapter "auto" and "none" are no files.
void check_files(const SweepConfig& config) {
  DSRASQ_CHECK(!config.output.empty(), kInvalidArgument, kInSweep, "want -o FOLDER");
  DSRASQ_CHECK(!config.data.empty(), kInvalidArgument, kInSweep, "want --data FILE to train on");
  DSRASQ_CHECK(!config.text.empty(), kInvalidArgument, kInSweep, "want --text FILE to measure on");
  const auto want = [](const char* option, const std::string& path) {
    std::error_code error;
    DSRASQ_CHECK(fs::exists(path, error), kBadInput, kInSweep, "--", option, " ", path,
                 ": no such file");
  };
  want("data", config.data);
  for (const std::string& path : config.text) want("text", path);
  want("model", config.engine.model);
  if (config.engine.adapter != "auto" && config.engine.adapter != "none")
    want("adapter", config.engine.adapter);
}

// The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.
std::vector<std::string> visible_gpus() {
  const int64_t n = at::hasCUDA() ? at::getNumGPUs() : 0;
  std::vector<std::string> names;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::istringstream list(visible != nullptr ? visible : "");
  for (std::string name; static_cast<int64_t>(names.size()) < n && std::getline(list, name, ',');)
    names.push_back(name);
  while (static_cast<int64_t>(names.size()) < n) names.push_back(std::to_string(names.size()));
  return names;
}

// Settles which GPUs there are to use; the names of all.
std::vector<std::string> choose_gpus(SweepConfig& config) {
  if (config.engine.device != "cuda") {
    DSRASQ_CHECK(config.engine.device == "cpu", kInvalidArgument, kInSweep, "--device is ",
                 config.engine.device, ", want cpu or cuda");
    DSRASQ_CHECK(config.gpus.empty(), kInvalidArgument, kInSweep, "--gpus wants --device cuda");
    return {};
  }
  const std::vector<std::string> names = visible_gpus();
  const auto n = static_cast<int64_t>(names.size());
  DSRASQ_CHECK(n > 0, kUnavailable, kInSweep,
               "no CUDA device here (or a LibTorch without CUDA); use --device cpu");
  if (config.gpus.empty())
    for (int64_t gpu = 0; gpu < n; ++gpu) config.gpus.push_back(gpu);
  for (const int64_t gpu : config.gpus) {
    DSRASQ_CHECK(gpu >= 0 && gpu < n, kUnavailable, kInSweep, "--gpus names GPU ", gpu,
                 ", and this machine has ", n, n == 1 ? ", number 0" : ", from number 0 on");
    DSRASQ_CHECK(std::count(config.gpus.begin(), config.gpus.end(), gpu) == 1, kInvalidArgument,
                 kInSweep, "--gpus names GPU ", gpu, " twice");
  }
  return names;
}

std::vector<sweep::Worker> make_workers(const SweepConfig& config,
                                        const std::vector<std::string>& gpu_names) {
  std::vector<sweep::Worker> workers;
  for (int64_t i = 0; i < sweep_jobs(config); ++i) {
    workers.push_back({concat("process ", i + 1), {{"WORLD_SIZE", "1"}}});
    if (config.gpus.empty()) continue;
    const int64_t gpu = config.gpus[static_cast<size_t>(i) % config.gpus.size()];
    workers.back().name = concat("GPU ", gpu);
    workers.back().variables["CUDA_VISIBLE_DEVICES"] = gpu_names[static_cast<size_t>(gpu)];
  }
  return workers;
}

// Text becomes tokens once, in a process of its own, and not again at every point.
void encode(const SweepConfig& config, const std::string& tokens, const Json& train_options,
            const Console& console) {
  if (tokens == config.data || train::TokenCache::is_one(tokens)) return;
  console.note(concat("encodes ", config.data));
  const sweep::Point corpus{
      .name = "corpus",
      .values = {},
      .options = {},
      .stages = {{"encode",
                  {"train", "retriever", "--prepare-only", "--json", "--data", config.data,
                   "--model", config.engine.model, "--output", tokens, "--run-dir", config.output,
                   "--max-tokens", train_options["max-tokens"].dump()},
                  {}}},
      .scratch = {}};
  const sweep::PointFolder files(config.output, corpus);
  files.begin(0);
  sweep::run_points({corpus}, {.program = kProgram,
                               .folder = config.output,
                               .workers = {{"encoding", {{"WORLD_SIZE", "1"}}}},
                               .started = {},
                               .ended = {}});
  const auto failure = files.failure();
  DSRASQ_CHECK(!failure, kBadInput, kInSweep, failure.value_or(""));
}

// Writes the table after every point, and says how far the sweep is.
class TableKeeper {
 public:
  TableKeeper(const SweepConfig& config, const std::vector<sweep::Point>& points,
              const Console& console)
      : config_(config), points_(points), console_(console) {
    FieldList fields;
    SweepConfig options = config;
    fields.add(options);
    options_ = fields.json();
    write_table();
    n_before_ = table_["finished"];
  }

  const Json& table() const { return table_; }
  std::string path() const { return (fs::path(config_.output) / "table.json").string(); }

  void started(const sweep::Point& point, const sweep::Worker& worker) const {
    console_.note(concat(point.name, ": starts on ", worker.name));
  }

  void ended(const sweep::Point& point) {
    ++n_ended_;
    write_table();
    const auto row = std::find_if(table_["rows"].begin(), table_["rows"].end(),
                                  [&](const Json& r) { return r["point"] == point.name; });
    console_.note(concat(point.name, ": ", row_text(*row)));
    const int64_t n_left = static_cast<int64_t>(points_.size()) - n_before_ - n_ended_;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    std::string line = concat(table_["finished"], " of ", points_.size(), " points finished");
    if (table_["failed"] > 0) line += concat(", ", table_["failed"], " failed");
    const double each = spent.count() / static_cast<double>(n_ended_);
    if (n_left > 0)
      line += concat(", about ", format_clock(each * static_cast<double>(n_left)), " left");
    console_.note(line);
  }

 private:
  static std::string row_text(const Json& row) {
    if (row["state"] != "finished") return row.value("message", "failed");
    char text[160];
    std::snprintf(text, sizeof text,
                  "perplexity %.3f (%+.2f %%), KL %.4f, %.1f retrieved, %.0f tokens/s, %lld steps",
                  row["perplexity"].get<double>(), row["change_percent"].get<double>(),
                  row["kl"].get<double>(), row["mean_retrieved"].get<double>(),
                  row["tokens_per_s"].get<double>(),
                  static_cast<long long>(row["steps"].get<int64_t>()));
    return text;
  }

  void write_table() {
    table_ = sweep::sweep_table(config_.output, points_);
    Json whole = table_;
    whole["config"] = options_;
    write_file(path(), whole.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  const SweepConfig& config_;
  const std::vector<sweep::Point>& points_;
  const Console& console_;
  Json options_, table_;
  int64_t n_before_ = 0, n_ended_ = 0;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void refuse_failures(const TableKeeper& keeper) {
  const Json& table = keeper.table();
  if (table["failed"] == 0) return;
  const auto first = std::find_if(table["rows"].begin(), table["rows"].end(),
                                  [](const Json& row) { return row["state"] == "failed"; });
  throw Error(ErrorCode::kStopped, kInSweep,
              concat(table["failed"], " of ", table["points"], " points failed, ",
                     (*first)["point"].get<std::string>(),
                     " with: ", (*first)["message"].get<std::string>(), " (the others are in ",
                     keeper.path(), "; the same command tries again)"));
}

Json run_sweep(const SweepConfig& given, const Console& console) {
  SweepConfig config = given;
  check_files(config);
  const std::vector<std::string> gpu_names = choose_gpus(config);
  const bool is_encoded = train::TokenCache::is_one(config.data);
  const std::string tokens =
      is_encoded ? config.data : (fs::path(config.output) / "corpus.tokens").string();
  const std::vector<sweep::Point> points = sweep_points(config, tokens);
  std::error_code error;
  fs::create_directories(config.output, error);  // writing says what is wrong
  sweep::settle_plan(config.output, points);
  watch_interrupts();
  encode(config, tokens, points.front().options["train"], console);
  TableKeeper keeper(config, points, console);
  sweep::run_points(points, {.program = kProgram,
                             .folder = config.output,
                             .workers = make_workers(config, gpu_names),
                             .started = [&](const auto& point,
                                            const auto& worker) { keeper.started(point, worker); },
                             .ended = [&](const sweep::Point& point) { keeper.ended(point); }});
  refuse_failures(keeper);
  Json result{{"table", keeper.path()}};
  result.update(keeper.table());
  console.result_lines(result);
  return result;
}

}  // namespace

Command sweep_command() {
  return make_command<SweepConfig>(
      {"sweep", "short joint trainings over a grid of options, each measured, and one table",
       "  dsrasq sweep -o sweep --data books.tokens --text validation.jsonl.xz --pool 2048 "
       "--device cuda\n"
       "  dsrasq sweep -o prices --data books.tokens --text book.txt --topk 256 --slots 0 "
       "--beta 0 --lambda-ret 5e-5,1.2e-4,3e-4 --steps 100 -- --thresholds --length 4096\n"
       "The same command goes on after a stop; dsrasq report sweep/table.json -o sweep.html draws "
       "the table.\n"},
      run_sweep);
}

}  // namespace dsrasq::cli
