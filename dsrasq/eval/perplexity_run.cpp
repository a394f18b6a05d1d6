#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/perplexity.h"
#include "dsrasq/eval/shard_files.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kInPerplexityRun = "eval.perplexity";

// The fields of a score and their names in files.
template <class Score, class Visit>
void visit_score(Score& score, Visit&& visit) {
  visit(score.sample, "sample");
  visit(score.source, "source");
  visit(score.policy, "policy");
  visit(score.quarter_nll, "quarter_nll");
  visit(score.quarter_tokens, "quarter_tokens");
  visit(score.far_nll, "far_nll");
  visit(score.far_tokens, "far_tokens");
  visit(score.kl, "kl");
  visit(score.seconds, "seconds");
  visit(score.mean_retrieved, "mean_retrieved");
  visit(score.cache_bytes, "cache_bytes");
}

Json to_json(const StretchScore& score) {
  Json out;
  visit_score(score, [&](const auto& field, const char* name) { out[name] = field; });
  if (score.cache_hit_rate) out["cache_hit_rate"] = *score.cache_hit_rate;
  return out;
}

StretchScore from_json(const Json& json) {
  StretchScore score;
  try {
    visit_score(score, [&](auto& field, const char* name) { json.at(name).get_to(field); });
    if (json.contains("cache_hit_rate"))
      score.cache_hit_rate = json["cache_hit_rate"].get<double>();
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadInput, kInPerplexityRun,
                concat("sample ", json.dump(), ": ", e.what()));
  }
  return score;
}

Json to_json(const PolicyPerplexity& row) {
  Json out{{"policy", row.policy},
           {"perplexity", row.perplexity},
           {"perplexity_interval", {row.interval.low, row.interval.high}},
           {"nll", row.nll},
           {"samples", row.samples},
           {"tokens", row.tokens},
           {"mean_retrieved", row.mean_retrieved},
           {"cache_bytes", row.cache_bytes},
           {"tokens_per_s", row.tokens_per_s},
           {"perplexity_by_quarter", row.quarters}};
  if (row.cache_hit_rate) out["cache_hit_rate"] = *row.cache_hit_rate;
  mark_untrained(out, row.policy);
  if (row.far) out["perplexity_far"] = *row.far;
  if (row.change) {
    out["kl"] = row.kl;
    out["kl_interval"] = {row.kl_interval.low, row.kl_interval.high};
    out["change_percent"] = row.change->percent;
    out["change_interval"] = {row.change->interval.low, row.change->interval.high};
    if (row.change->far_percent) {
      out["change_far_percent"] = *row.change->far_percent;
      out["change_far_interval"] = {row.change->far_interval.low, row.change->far_interval.high};
    }
  }
  return out;
}

// Tokens of a stretch, its first included.
int64_t stretch_length(const StretchScore& score) {
  int64_t n = 1;
  for (const int64_t tokens : score.quarter_tokens) n += tokens;
  return n;
}

}  // namespace

Json perplexity_result(const std::vector<StretchScore>& scores, int64_t length) {
  const std::vector<PolicyPerplexity> rows = summarise(scores);
  Json out, lines = Json::array(), samples = Json::array();
  for (const PolicyPerplexity& row : rows) lines.push_back(to_json(row));
  for (const StretchScore& score : scores) samples.push_back(to_json(score));
  if (!rows.empty())
    for (const char* key :
         {"perplexity", "nll", "tokens", "policy", "mean_retrieved", "cache_bytes"})
      out[key] = lines.front()[key];
  out["length"] = length;
  out["rows"] = std::move(lines);
  out["samples"] = std::move(samples);
  return out;
}

Json run_perplexity(const session::Engine& engine, const policy::PolicyOptions& base,
                    const PerplexityOptions& options, const Progress& progress) {
  const std::vector<NamedPolicy> policies = parse_policies(base.name, base);
  const Shard shard = parse_shard(options.shard);
  const std::vector<Stretch> stretches =
      read_stretches(options.text, engine.tokenizer(), options.length, options.samples);
  std::vector<StretchScore> scores;
  for (int64_t sample = 0; sample < options.samples; ++sample) {
    if (!shard.has(sample)) continue;
    const Stretch& stretch = stretches[static_cast<size_t>(sample)];
    for (StretchScore& score : score_stretch(engine, stretch, sample, policies, progress))
      scores.push_back(std::move(score));
  }
  return perplexity_result(scores, options.length);
}

Json merge_perplexity(const std::vector<std::string>& files) {
  const Json samples = merged_samples(files, {"sample", "policy"});
  std::vector<StretchScore> scores;
  for (const Json& sample : samples) {
    scores.push_back(from_json(sample));
    DSRASQ_CHECK(stretch_length(scores.back()) == stretch_length(scores.front()), kBadInput,
                 kInPerplexityRun, "the results have stretches of ", stretch_length(scores.front()),
                 " and of ", stretch_length(scores.back()), " tokens");
  }
  return perplexity_result(scores, scores.empty() ? 0 : stretch_length(scores.front()));
}

}  // namespace dsrasq::eval
