#include "dsrasq/eval/task_rows.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/statistics.h"
#include "dsrasq/eval/task_figures.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kInTaskRows = "eval.task_rows";

// What one policy did on one task.
struct Cell {
  std::string task, policy;
  std::vector<std::string> ids;              // of the samples
  std::vector<std::vector<Score>> scores{};  // by sample
  std::vector<double> prompt_tokens{}, retrieved{}, seconds{};
  std::vector<double> first_token_seconds{};  // where answers are written
  std::vector<double> support{}, chance{};    // only of samples that say it
  std::vector<double> hit_rates{};            // of samples that say it
  uint64_t cache_bytes = 0;
};

std::vector<Cell> cells_of(const Json& lines) {
  std::vector<Cell> cells;
  for (const Json& line : lines) {
    const auto task = line.at("task").get<std::string>();
    const auto policy = line.at("policy").get<std::string>();
    auto cell = std::find_if(cells.begin(), cells.end(),
                             [&](const Cell& c) { return c.task == task && c.policy == policy; });
    if (cell == cells.end()) cell = cells.insert(cells.end(), Cell{task, policy, {}});
    cell->ids.push_back(line.at("id").get<std::string>());
    cell->scores.push_back(scores_from_json(line.at("scores")));
    cell->prompt_tokens.push_back(line.at("prompt_tokens").get<double>());
    cell->retrieved.push_back(line.at("mean_retrieved").get<double>());
    cell->seconds.push_back(line.at("seconds").get<double>());
    if (line.contains("first_token_seconds"))
      cell->first_token_seconds.push_back(line.at("first_token_seconds").get<double>());
    cell->cache_bytes = std::max(cell->cache_bytes, line.at("cache_bytes").get<uint64_t>());
    if (line.contains("cache_hit_rate"))
      cell->hit_rates.push_back(line.at("cache_hit_rate").get<double>());
    if (!line.contains("retrieved_support")) continue;
    cell->support.push_back(line.at("retrieved_support").get<double>());
    cell->chance.push_back(line.at("support_share").get<double>());
  }
  return cells;
}

// The statistics of one figure, by sample.
std::vector<const std::vector<double>*> statistics_of(const Cell& cell, const Figure& figure) {
  std::vector<const std::vector<double>*> all;
  for (const auto& scores : cell.scores) {
    const auto score = std::find_if(scores.begin(), scores.end(),
                                    [&](const Score& s) { return s.figure == figure.name; });
    DSRASQ_CHECK(score != scores.end(), kBadInput, kInTaskRows, "a sample of task ", cell.task,
                 " has no score \"", figure.name, '"');
    all.push_back(&score->statistics);
  }
  return all;
}

// The figure of the drawn samples.
double value_of(const Figure& figure, const std::vector<const std::vector<double>*>& statistics,
                std::span<const size_t> drawn) {
  std::vector<double> sums(figure.n_statistics);
  for (const size_t sample : drawn)
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += (*statistics[sample])[i];
  return figure.value(sums, static_cast<double>(drawn.size()));
}

std::vector<size_t> all_of(size_t n) {
  std::vector<size_t> numbers(n);
  for (size_t i = 0; i < n; ++i) numbers[i] = i;
  return numbers;
}

Json to_json(const Interval& interval) { return {interval.low, interval.high}; }

// Samples that both cells have, as pairs of places.
std::vector<std::pair<size_t, size_t>> common_samples(const Cell& a, const Cell& b) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < b.ids.size(); ++i) places.emplace(b.ids[i], i);
  std::vector<std::pair<size_t, size_t>> pairs;
  for (size_t i = 0; i < a.ids.size(); ++i)
    if (const auto found = places.find(a.ids[i]); found != places.end())
      pairs.emplace_back(i, found->second);
  return pairs;
}

// A figure of one task's samples and of the first policy's on the same ones.
struct Paired {
  std::vector<const std::vector<double>*> here, there;
  double difference(const Figure& figure, std::span<const size_t> drawn) const {
    return value_of(figure, here, drawn) - value_of(figure, there, drawn);
  }
};

Paired paired(const Figure& figure, const Cell& cell, const Cell& first) {
  Paired out;
  const auto of_cell = statistics_of(cell, figure), of_first = statistics_of(first, figure);
  for (const auto& [a, b] : common_samples(cell, first)) {
    out.here.push_back(of_cell[a]);
    out.there.push_back(of_first[b]);
  }
  return out;
}

void add_difference(Json& row, const Figure& figure, const Cell& cell, const Cell& first) {
  const Paired samples = paired(figure, cell, first);
  if (samples.here.empty()) return;
  const auto difference = [&](std::span<const size_t> drawn) {
    return samples.difference(figure, drawn);
  };
  const std::string name(figure.name);
  row[name + "_difference"] = difference(all_of(samples.here.size()));
  row[name + "_difference_interval"] = to_json(bootstrap(samples.here.size(), difference));
}

// Median and 95th percentile of how long answers took.
void add_latency(Json& row, const std::string& name, const std::vector<double>& seconds) {
  if (seconds.empty()) return;
  row[name + "_p50"] = percentile(seconds, 50);
  row[name + "_p95"] = percentile(seconds, 95);
}

Json row_of(const Cell& cell, const Cell& first) {
  Json row{{"task", cell.task}, {"policy", cell.policy}, {"samples", cell.ids.size()}};
  mark_untrained(row, cell.policy);
  for (const Score& score : cell.scores.front()) {
    const Figure& figure = *find_figure(score.figure);
    const auto statistics = statistics_of(cell, figure);
    const auto value = [&](std::span<const size_t> drawn) {
      return value_of(figure, statistics, drawn);
    };
    row[score.figure] = value(all_of(statistics.size()));
    row[score.figure + "_interval"] = to_json(bootstrap(statistics.size(), value));
    if (&cell != &first) add_difference(row, figure, cell, first);
  }
  row["prompt_tokens"] = mean(cell.prompt_tokens);
  row["mean_retrieved"] = mean(cell.retrieved);
  if (!cell.support.empty()) {
    row["retrieved_support"] = mean(cell.support);
    row["support_share"] = mean(cell.chance);
  }
  if (!cell.hit_rates.empty()) row["cache_hit_rate"] = mean(cell.hit_rates);
  row["cache_bytes"] = cell.cache_bytes;
  row["seconds"] = mean(cell.seconds);
  add_latency(row, "seconds", cell.seconds);
  add_latency(row, "first_token_seconds", cell.first_token_seconds);
  return row;
}

const Cell& first_of_task(const std::vector<Cell>& cells, const std::string& task) {
  return *std::find_if(cells.begin(), cells.end(), [&](const Cell& c) { return c.task == task; });
}

// The mean over tasks of one value of each, with the samples of every task drawn by themselves.
template <class Value>
Interval interval_of_tasks(const std::vector<size_t>& sizes, const Value& value) {
  return bootstrap_groups(sizes, [&](std::span<const std::vector<size_t>> drawn) {
    double sum = 0;
    for (size_t task = 0; task < drawn.size(); ++task) sum += value(task, drawn[task]);
    return sum / static_cast<double>(drawn.size());
  });
}

// Of the figures of a policy's mean over all tasks.
void add_overall_intervals(Json& out, const std::vector<Cell>& cells, const std::string& policy) {
  std::vector<std::string> names;
  for (const auto& [name, value] : out.items())
    if (find_figure(name) != nullptr) names.push_back(name);
  for (const std::string& name : names) {
    const Figure* figure = find_figure(name);
    std::vector<std::vector<const std::vector<double>*>> samples;
    std::vector<Paired> pairs;
    std::vector<size_t> sizes, pair_sizes;
    for (const Cell& cell : cells) {
      const auto& scores = cell.scores.front();
      const bool has_figure = std::any_of(scores.begin(), scores.end(),
                                          [&](const Score& s) { return s.figure == name; });
      if (cell.policy != policy || !has_figure) continue;
      samples.push_back(statistics_of(cell, *figure));
      sizes.push_back(samples.back().size());
      const Cell& first = first_of_task(cells, cell.task);
      if (&first == &cell) continue;
      pairs.push_back(paired(*figure, cell, first));
      pair_sizes.push_back(pairs.back().here.size());
    }
    out[name + "_interval"] =
        to_json(interval_of_tasks(sizes, [&](size_t task, std::span<const size_t> drawn) {
          return value_of(*figure, samples[task], drawn);
        }));
    if (!out.contains(name + "_difference")) continue;
    std::erase_if(pairs, [](const Paired& pair) { return pair.here.empty(); });
    std::erase(pair_sizes, size_t{0});
    out[name + "_difference_interval"] =
        to_json(interval_of_tasks(pair_sizes, [&](size_t task, std::span<const size_t> drawn) {
          return pairs[task].difference(*figure, drawn);
        }));
  }
}

// A policy over all tasks: each task counts the same.
Json overall(const Json& rows, const std::string& policy) {
  Json out{{"task", "all"}, {"policy", policy}, {"samples", 0}};
  mark_untrained(out, policy);
  std::map<std::string, std::vector<double>> values;
  for (const Json& row : rows) {
    if (row.at("policy") != policy) continue;
    out["samples"] = out["samples"].get<int64_t>() + row.at("samples").get<int64_t>();
    for (const auto& [name, value] : row.items()) {
      const bool is_percentile = name.ends_with("_p50") || name.ends_with("_p95");
      if (!value.is_number() || name == "samples" || is_percentile) continue;
      if (values.emplace(name, std::vector<double>{}).second) out[name] = 0;
      values[name].push_back(value.get<double>());
    }
  }
  for (const auto& [name, all] : values)
    out[name] = name == "cache_bytes"
                    ? Json(static_cast<uint64_t>(*std::max_element(all.begin(), all.end())))
                    : Json(mean(all));
  return out;
}

}  // namespace

Json task_rows(const Json& lines) {
  std::vector<Cell> cells;
  try {
    cells = cells_of(lines);
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadInput, kInTaskRows,
                concat("a line of the result is damaged: ", e.what()));
  }
  Json rows = Json::array(), all = Json::array();
  std::vector<std::string> policies;
  for (const Cell& cell : cells) {
    rows.push_back(row_of(cell, first_of_task(cells, cell.task)));
    if (std::find(policies.begin(), policies.end(), cell.policy) == policies.end())
      policies.push_back(cell.policy);
  }
  if (rows.size() == policies.size()) return rows;  // one task
  for (const std::string& policy : policies) {
    all.push_back(overall(rows, policy));
    add_overall_intervals(all.back(), cells, policy);
  }
  all.insert(all.end(), rows.begin(), rows.end());
  return all;
}

}  // namespace dsrasq::eval
