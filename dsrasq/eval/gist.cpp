#include "dsrasq/eval/gist.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/sample_means.h"
#include "dsrasq/eval/shard_files.h"
#include "dsrasq/eval/statistics.h"
#include "dsrasq/model/token_score.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kInGist = "eval.gist";
constexpr int64_t kGap = 1024;  // tokens between what is read of a text and its passage

void check_options(const GistOptions& o) {
  const auto want = [](bool ok, const char* what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInGist, what);
  };
  want(o.choices >= 2, "--choices has to be at least 2");
  want(o.samples > o.choices, "--samples has to be more than --choices, as one text comes between");
  want(o.between >= 1 && o.between <= o.length, "--between has to be from 1 to --length");
  want(o.passage >= 2, "--passage has to be at least 2");
}

// What a session that has read some tokens made of the last `n` of them.
struct Reading {
  double nll = 0;  // mean of the last n but the first, nats
  double mean_retrieved = 0;
  uint64_t cache_bytes = 0;
};

Reading read_passage(const session::Engine& engine, const policy::PolicyOptions& options,
                     const std::vector<const std::vector<int32_t>*>& before,
                     const std::vector<int32_t>& passage) {
  session::Session session(engine, options);
  for (const auto* ids : before) session.read(*ids);
  const at::Tensor states = session.read_states(passage);
  const model::Transformer& model = engine.model();
  const at::Tensor ids = at::tensor(passage, at::kInt).to(at::kLong).to(model.device());
  const auto n = static_cast<int64_t>(passage.size()) - 1;
  const model::TokenScores scores = model::token_scores(model, states, {}, ids);
  return {.nll = -scores.log_probability.narrow(0, 0, n).mean().item<double>(),
          .mean_retrieved = session.policy().mean_retrieved(),
          .cache_bytes = session.policy().bytes()};
}

Json run_sample(const session::Engine& engine, const NamedPolicy& named, const GistSample& gist) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Json gains = Json::array();
  Reading last;
  for (const std::vector<int32_t>& passage : gist.passages) {
    const Reading without = read_passage(engine, named.options, {&gist.between}, passage);
    last = read_passage(engine, named.options, {&gist.read, &gist.between}, passage);
    gains.push_back(without.nll - last.nll);
  }
  return {{"policy", named.label},
          {"gains", gains},
          {"mean_retrieved", last.mean_retrieved},
          {"cache_bytes", last.cache_bytes},
          {"seconds", std::chrono::duration<double>(Clock::now() - start).count()}};
}

// All samples of one policy.
struct Line {
  std::string policy;
  BySample own, other, advantage, right;
  int64_t n_right = 0, n_choices = 0;
  double retrieved = 0;
  uint64_t cache_bytes = 0;
};

void add_sample(const Json& sample, Line& line) {
  const auto gains = sample.at("gains").get<std::vector<double>>();
  DSRASQ_CHECK(gains.size() >= 2, kBadInput, kInGist, "a sample has ", gains.size(), " gains");
  const std::vector<double> others(gains.begin() + 1, gains.end());
  const auto number = sample.at("sample").get<int64_t>();
  const bool is_right = gains.front() > *std::max_element(others.begin(), others.end());
  line.own[number] = gains.front();
  line.other[number] = mean(others);
  line.advantage[number] = line.own[number] - line.other[number];
  line.right[number] = is_right ? 1 : 0;
  line.n_right += is_right;
  line.n_choices = static_cast<int64_t>(gains.size());
  line.retrieved += sample.at("mean_retrieved").get<double>();
  line.cache_bytes = std::max(line.cache_bytes, sample.at("cache_bytes").get<uint64_t>());
}

Json to_json(const Line& line, const Line& first) {
  const auto n = static_cast<int64_t>(line.right.size());
  const Interval accuracy = wilson(line.n_right, n);
  Json row{{"policy", line.policy},
           {"samples", n},
           {"accuracy", static_cast<double>(line.n_right) / static_cast<double>(n)},
           {"accuracy_interval", {accuracy.low, accuracy.high}},
           {"chance", 1 / static_cast<double>(line.n_choices)}};
  add_mean(row, "own_gain", line.own);
  add_mean(row, "other_gain", line.other);
  add_mean(row, "advantage", line.advantage);
  row["mean_retrieved"] = line.retrieved / static_cast<double>(n);
  row["cache_bytes"] = line.cache_bytes;
  if (&line == &first) return row;
  add_difference(row, "accuracy", line.right, first.right);
  add_difference(row, "advantage", line.advantage, first.advantage);
  return row;
}

Json gist_result(Json samples) {
  std::vector<Line> lines;
  for (const Json& sample : samples) {
    const auto policy = sample.at("policy").get<std::string>();
    auto line =
        std::find_if(lines.begin(), lines.end(), [&](const Line& l) { return l.policy == policy; });
    if (line == lines.end()) line = lines.insert(lines.end(), {.policy = policy});
    add_sample(sample, *line);
  }
  Json out, rows = Json::array();
  for (const Line& line : lines) rows.push_back(to_json(line, lines.front()));
  if (!rows.empty())
    for (const char* key : {"accuracy", "advantage", "policy", "mean_retrieved", "cache_bytes"})
      out[key] = rows.front()[key];
  out["rows"] = std::move(rows);
  out["samples"] = std::move(samples);
  return out;
}

}  // namespace

GistSample make_gist(const std::vector<Stretch>& stretches, const GistOptions& options,
                     int64_t sample) {
  const auto text = [&](int64_t later) -> const std::vector<int32_t>& {
    return stretches[static_cast<size_t>(sample + later) % stretches.size()].ids;
  };
  const auto first = [](const std::vector<int32_t>& ids, int64_t n) {
    return std::vector<int32_t>(ids.begin(), ids.begin() + n);
  };
  const auto passage = [&](int64_t later) {
    return std::vector<int32_t>(text(later).end() - options.passage, text(later).end());
  };
  GistSample gist{.read = first(text(0), options.length),
                  .between = first(text(1), options.between),
                  .passages = {passage(0)}};
  for (int64_t other = 2; other <= options.choices; ++other)
    gist.passages.push_back(passage(other));
  return gist;
}

Json run_gist(const session::Engine& engine, const policy::PolicyOptions& base,
              const GistOptions& options, const Progress& progress) {
  check_options(options);
  const std::vector<NamedPolicy> policies = parse_policies(base.name, base);
  const Shard shard = parse_shard(options.shard);
  const std::vector<Stretch> stretches = read_stretches(
      options.text, engine.tokenizer(), options.length + kGap + options.passage, options.samples);
  for (size_t i = 1; i < stretches.size(); ++i)
    DSRASQ_CHECK(stretches[i].source != stretches[i - 1].source, kBadInput, kInGist,
                 "too few texts of ", 3 * (options.length + kGap + options.passage) / 2,
                 " tokens: want one for each of the ", options.samples, " samples, ",
                 stretches[i].source, " came twice");
  Json samples = Json::array();
  for (int64_t sample = 0; sample < options.samples; ++sample) {
    if (!shard.has(sample)) continue;
    const GistSample gist = make_gist(stretches, options, sample);
    for (const NamedPolicy& named : policies) {
      Json line{{"sample", sample}, {"source", stretches[static_cast<size_t>(sample)].source}};
      line.update(run_sample(engine, named, gist));
      if (progress)
        progress(concat("text ", sample + 1, " of ", options.samples, ", ", named.label, ": gains ",
                        line["gains"].dump(), " in ",
                        static_cast<int64_t>(line["seconds"].get<double>()), " s"));
      samples.push_back(std::move(line));
    }
  }
  return gist_result(std::move(samples));
}

Json merge_gist(const std::vector<std::string>& files) {
  try {
    return gist_result(merged_samples(files, {"sample", "policy"}));
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadInput, kInGist,
                concat("a sample of ", files.front(), " or a later file: ", e.what()));
  }
}

}  // namespace dsrasq::eval
