#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>

#include "dsrasq/core/error.h"
#include "dsrasq/data/documents.h"
#include "dsrasq/eval/needle.h"
#include "dsrasq/eval/sample_means.h"
#include "dsrasq/eval/shard_files.h"
#include "dsrasq/eval/statistics.h"
#include "dsrasq/eval/work_queue.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kInNeedleRun = "eval.needle";

std::vector<std::string> read_texts(const std::vector<std::string>& files) {
  DSRASQ_CHECK(!files.empty(), kInvalidArgument, kInNeedleRun, "no text file was named");
  std::vector<std::string> texts;
  for (const std::string& file : files)
    for (data::Document& document : data::read_documents(file))
      texts.push_back(std::move(document.text));
  return texts;
}

Json run_sample(const session::Engine& engine, const NamedPolicy& named, const NeedlePrompt& prompt,
                const NeedleOptions& needle) {
  using Clock = std::chrono::steady_clock;
  session::Session session(engine, named.options);
  const Clock::time_point start = Clock::now();
  const std::span<const int32_t> ids(prompt.ids);
  session.read(ids.first(prompt.question_at));
  if (needle.question_agnostic) session.prompt_ended();
  session.read(ids.subspan(prompt.question_at));
  session::GenerateOptions options;
  options.max_tokens = needle.max_tokens;
  const session::GenerateResult answer = session.generate(options);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  DSRASQ_CHECK(answer.finish_reason != "interrupted", kInterrupted, kInNeedleRun,
               "stopped by the user");
  return {{"length", prompt.ids.size()},
          {"policy", named.label},
          {"depth", prompt.depth},
          {"key", prompt.key},
          {"value", prompt.value},
          {"answer", answer.text},
          {"found", needle_found(answer.text, prompt.value)},
          {"digit_accuracy", digit_accuracy(answer.text, prompt.value)},
          {"mean_retrieved", session.policy().mean_retrieved()},
          {"cache_bytes", session.policy().bytes()},
          {"seconds", seconds}};
}

// All samples of one length and policy.
struct Cell {
  int64_t length = 0;
  std::string policy;
  int64_t n = 0, n_found = 0;
  BySample found{}, digits{};
  double retrieved = 0;
  uint64_t cache_bytes = 0;
};

// `first` is the first policy's cell of the same length.
Json to_json(const Cell& cell, const Cell& first) {
  const auto n = static_cast<double>(cell.n);
  const Interval interval = wilson(cell.n_found, cell.n);
  Json row{{"length", cell.length},
           {"policy", cell.policy},
           {"samples", cell.n},
           {"accuracy", static_cast<double>(cell.n_found) / n},
           {"accuracy_interval", {interval.low, interval.high}}};
  add_mean(row, "digit_accuracy", cell.digits);
  row["mean_retrieved"] = cell.retrieved / n;
  row["cache_bytes"] = cell.cache_bytes;
  mark_untrained(row, cell.policy);
  if (&cell == &first) return row;
  add_difference(row, "accuracy", cell.found, first.found);
  add_difference(row, "digit_accuracy", cell.digits, first.digits);
  return row;
}

Json result(Json samples) {
  std::vector<Cell> cells;
  for (const Json& sample : samples) {
    const auto length = sample.at("length").get<int64_t>();
    const auto policy = sample.at("policy").get<std::string>();
    auto cell = std::find_if(cells.begin(), cells.end(), [&](const Cell& c) {
      return c.length == length && c.policy == policy;
    });
    if (cell == cells.end()) cell = cells.insert(cells.end(), {.length = length, .policy = policy});
    ++cell->n;
    const auto number = sample.at("sample").get<int64_t>();
    cell->n_found += sample.at("found").get<bool>();
    cell->found[number] = sample.at("found").get<bool>() ? 1 : 0;
    cell->digits[number] = sample.at("digit_accuracy").get<double>();
    cell->retrieved += sample.at("mean_retrieved").get<double>();
    cell->cache_bytes = std::max(cell->cache_bytes, sample.at("cache_bytes").get<uint64_t>());
  }
  std::stable_sort(cells.begin(), cells.end(),
                   [](const Cell& a, const Cell& b) { return a.length < b.length; });
  Json out, rows = Json::array();
  for (const Cell& cell : cells) {
    const auto first = std::find_if(cells.begin(), cells.end(),
                                    [&](const Cell& c) { return c.length == cell.length; });
    rows.push_back(to_json(cell, *first));
  }
  if (!cells.empty())
    for (const char* key :
         {"accuracy", "digit_accuracy", "policy", "length", "mean_retrieved", "cache_bytes"})
      out[key] = rows.front()[key];
  out["rows"] = std::move(rows);
  out["samples"] = std::move(samples);
  return out;
}

}  // namespace

Json run_needle(const session::Engine& engine, const policy::PolicyOptions& base,
                const NeedleOptions& options, const Progress& progress) {
  DSRASQ_CHECK(options.samples > 0, kInvalidArgument, kInNeedleRun, "samples is ", options.samples,
               ", want 1 or more");
  DSRASQ_CHECK(options.max_tokens > 0, kInvalidArgument, kInNeedleRun, "max-tokens is ",
               options.max_tokens, ", want 1 or more");
  const std::vector<NamedPolicy> policies = parse_policies(base.name, base);
  const Shard shard = parse_shard(options.shard);
  const std::vector<std::string> texts = read_texts(options.text);
  std::deque<Json> lines;  // in order; one does not move when others come
  std::mutex mutex;        // of progress
  WorkQueue queue(options.at_once, engine.model().device());
  for (const int64_t length : options.length) {
    for (int64_t sample = 0; sample < options.samples; ++sample) {
      if (!shard.has(sample)) continue;
      const auto prompt = std::make_shared<const NeedlePrompt>(
          make_needle(engine.tokenizer(), texts, length, sample, options.samples, options.seed));
      for (const NamedPolicy& named : policies) {
        Json& line = lines.emplace_back(Json{{"sample", sample}});
        queue.add([&, prompt, length, sample] {
          line.update(run_sample(engine, named, *prompt, options));
          const std::lock_guard lock(mutex);
          if (progress)
            progress(concat("needle ", sample + 1, " of ", options.samples, ", ", length,
                            " tokens, ", named.label, ": ", line["found"] ? "found" : "not found",
                            " in ", static_cast<int64_t>(line["seconds"].get<double>()), " s"));
        });
      }
    }
  }
  queue.finish();
  Json samples = Json::array();
  for (Json& line : lines) samples.push_back(std::move(line));
  return result(std::move(samples));
}

Json merge_needle(const std::vector<std::string>& files) {
  try {
    return result(merged_samples(files, {"sample", "length", "policy"}));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadInput, kInNeedleRun,
                concat("a sample of ", files.front(), " or a later file: ", e.what()));
  }
}

}  // namespace dsrasq::eval
