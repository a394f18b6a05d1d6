// dsrasq score: texts that any program made against references, by the metrics that papers report.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/command.h"
#include "cli/score_samples.h"
#include "cli/suggest.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/statistics.h"
#include "dsrasq/metrics/answer_match.h"
#include "dsrasq/metrics/babi.h"
#include "dsrasq/metrics/bleu.h"
#include "dsrasq/metrics/multirc.h"
#include "dsrasq/metrics/rouge.h"
#include "dsrasq/metrics/rouge_longbench.h"
#include "dsrasq/metrics/string_match.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;
using Samples = std::vector<ScoreSample>;

constexpr const char* kInScore = "cli.score";

struct ScoreConfig {
  std::string metric, predictions;
  std::vector<std::string> references;
  bool stem = false;
  std::string bleu_tokenizer = "13a";

  template <class V>
  void visit(V&& v) {
    v(metric, "metric",
      "by commas: em, f1, multirc, rouge, rouge-longbench, bleu, string-match-all, "
      "string-match-part, babi");
    v(predictions, "predictions", "one text a line, or .jsonl with \"prediction\"");
    v(references, "references", "the same with \"references\"; several files: several references");
    v(stem, "stem", "rouge: compare the stems of words (Porter)");
    v(bleu_tokenizer, "bleu-tokenizer", "13a or intl");
  }
};

// Samples in parallel, scores in their order.
template <class Score>
auto score_each(const Samples& samples, const Score& score) {
  constexpr int64_t kGrain = 16;
  std::vector<decltype(score(samples[0]))> scores(samples.size());
  parallel_for(static_cast<int64_t>(samples.size()), kGrain, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      check_interrupt();
      scores[i] = score(samples[i]);
    }
  });
  return scores;
}

Json interval_of(const std::vector<double>& values) {
  constexpr int64_t kDraws = 100'000'000, kFewest = 1000, kMost = 10000;
  const int64_t n_resamples =
      std::clamp(kDraws / static_cast<int64_t>(values.size()), kFewest, kMost);
  const eval::Interval interval = eval::bootstrap_mean(values, n_resamples);
  return {interval.low, interval.high};
}

template <class Score>
void add_mean(Json& out, const std::string& name, const Samples& samples, const Score& score) {
  const std::vector<double> values = score_each(
      samples, [&](const ScoreSample& sample) { return static_cast<double>(score(sample)); });
  out[name] = eval::mean(values);
  out[name + "_interval"] = interval_of(values);
}

void add_rouge(Json& out, const Samples& samples, bool stem) {
  const auto scores = score_each(samples, [&](const ScoreSample& sample) {
    return metrics::rouge(sample.prediction, sample.references, stem);
  });
  const auto add = [&](const char* name, auto which) {
    const auto values = [&](auto part) {
      std::vector<double> all;
      for (const metrics::RougeScores& one : scores) all.push_back((one.*which).*part);
      return all;
    };
    using metrics::PrecisionRecall;
    out[name] = {{"precision", eval::mean(values(&PrecisionRecall::precision))},
                 {"recall", eval::mean(values(&PrecisionRecall::recall))},
                 {"fmeasure", eval::mean(values(&PrecisionRecall::fmeasure))},
                 {"fmeasure_interval", interval_of(values(&PrecisionRecall::fmeasure))}};
  };
  add("rouge1", &metrics::RougeScores::rouge1);
  add("rouge2", &metrics::RougeScores::rouge2);
  add("rougeL", &metrics::RougeScores::rouge_l);
  add("rougeLsum", &metrics::RougeScores::rouge_lsum);
}

void add_bleu(Json& out, const Samples& samples, const std::string& tokenizer) {
  const auto tokenize =
      tokenizer == "intl" ? metrics::BleuTokenizer::kIntl : metrics::BleuTokenizer::k13a;
  metrics::BleuCounts counts;
  for (const metrics::BleuCounts& one : score_each(samples, [&](const ScoreSample& sample) {
         return metrics::bleu_counts(sample.prediction, sample.references, tokenize);
       }))
    counts += one;
  const metrics::Bleu score = metrics::bleu(counts);
  out["bleu"] = score.score;
  out["precisions"] = score.precisions;
  out["bp"] = score.brevity_penalty;
  out["prediction_tokens"] = counts.n_prediction;
  out["reference_tokens"] = counts.n_reference;
}

// "0,2" or "0 2".
void add_options(std::string text, std::set<std::string>& options) {
  std::replace(text.begin(), text.end(), ',', ' ');
  std::istringstream words(text);
  for (std::string word; words >> word;) options.insert(word);
}

void add_multirc(Json& out, const Samples& samples) {
  metrics::MultiRcCounts counts;
  std::vector<double> exact;
  for (const ScoreSample& sample : samples) {
    std::set<std::string> chosen, right;
    add_options(sample.prediction, chosen);
    for (const std::string& reference : sample.references) add_options(reference, right);
    counts.add(chosen, right);
    exact.push_back(chosen == right);
  }
  out["multirc"] = {{"f1a", counts.f1a()},
                    {"exact_match", counts.exact_match()},
                    {"exact_match_interval", interval_of(exact)}};
}

bool is_babi_correct(const ScoreSample& sample) {
  return std::any_of(sample.references.begin(), sample.references.end(),
                     [&](const std::string& target) {
                       return metrics::babi_correct(sample.prediction, target, sample.question,
                                                    metrics::babi_labels(sample.task));
                     });
}

using AddScores = void (*)(Json&, const Samples&, const ScoreConfig&);

/// What `--metric` can name.
struct Metric {
  std::string name;
  AddScores add;
};

const std::vector<Metric>& all_metrics() {
  static const std::vector<Metric> all{
      {"em",
       [](Json& out, const Samples& samples, const ScoreConfig&) {
         add_mean(out, "em", samples, [](const ScoreSample& sample) {
           return metrics::exact_match(sample.prediction, sample.references);
         });
       }},
      {"f1",
       [](Json& out, const Samples& samples, const ScoreConfig&) {
         add_mean(out, "f1", samples, [](const ScoreSample& sample) {
           return metrics::answer_overlap(sample.prediction, sample.references).fmeasure;
         });
       }},
      {"multirc",
       [](Json& out, const Samples& samples, const ScoreConfig&) { add_multirc(out, samples); }},
      {"rouge", [](Json& out, const Samples& samples,
                   const ScoreConfig& config) { add_rouge(out, samples, config.stem); }},
      {"rouge-longbench",
       [](Json& out, const Samples& samples, const ScoreConfig&) {
         add_mean(out, "rouge_longbench", samples, [](const ScoreSample& sample) {
           return metrics::rouge_longbench(sample.prediction, sample.references);
         });
       }},
      {"bleu", [](Json& out, const Samples& samples,
                  const ScoreConfig& config) { add_bleu(out, samples, config.bleu_tokenizer); }},
      {"string-match-all",
       [](Json& out, const Samples& samples, const ScoreConfig&) {
         add_mean(out, "string_match_all", samples, [](const ScoreSample& sample) {
           return metrics::string_match_all(sample.prediction, sample.references);
         });
       }},
      {"string-match-part",
       [](Json& out, const Samples& samples, const ScoreConfig&) {
         add_mean(out, "string_match_part", samples, [](const ScoreSample& sample) {
           return metrics::string_match_part(sample.prediction, sample.references);
         });
       }},
      {"babi", [](Json& out, const Samples& samples, const ScoreConfig&) {
         add_mean(out, "babi", samples, is_babi_correct);
       }}};
  return all;
}

std::vector<Metric> parse_metrics(const std::string& list) {
  std::vector<std::string> names;
  for (const Metric& metric : all_metrics()) names.push_back(metric.name);
  DSRASQ_CHECK(!list.empty(), kInvalidArgument, kInScore,
               "want --metric, e.g. em,f1 (dsrasq score --help lists them)");
  std::vector<Metric> wanted;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto found = std::find(names.begin(), names.end(), part);
    DSRASQ_CHECK(found != names.end(), kInvalidArgument, kInScore, "--metric: unknown metric \"",
                 part, "\"", suggestion(part, names));
    wanted.push_back(all_metrics()[static_cast<size_t>(found - names.begin())]);
  }
  return wanted;
}

// "x_interval": [low, high] as two columns.
void add_columns(Json& row, const std::string& name, const Json& value) {
  if (!name.ends_with("interval")) {
    row[name] = value;
    return;
  }
  row["low"] = value.at(0);
  row["high"] = value.at(1);
}

// For people: a row for every score.
void show(const Json& result, const Console& console) {
  Json lines, rows = Json::array();
  for (const auto& [name, value] : result.items()) {
    if (value.is_object()) {
      Json row{{"score", name}};
      for (const auto& [part, number] : value.items()) add_columns(row, part, number);
      rows.push_back(row);
    } else if (result.contains(name + "_interval")) {
      Json row{{"score", name}, {"mean", value}};
      add_columns(row, "interval", result.at(name + "_interval"));
      rows.push_back(row);
    } else if (!name.ends_with("_interval")) {
      lines[name] = value;
    }
  }
  if (!rows.empty()) lines["scores"] = rows;
  console.result_lines(lines);
}

Json score(const ScoreConfig& config, const Console& console) {
  const std::vector<Metric> metrics = parse_metrics(config.metric);
  const auto has = [&](const char* name) {
    return std::any_of(metrics.begin(), metrics.end(),
                       [&](const Metric& metric) { return metric.name == name; });
  };
  DSRASQ_CHECK(config.bleu_tokenizer == "13a" || config.bleu_tokenizer == "intl", kInvalidArgument,
               kInScore, "--bleu-tokenizer is \"", config.bleu_tokenizer, "\", want 13a or intl");
  DSRASQ_CHECK(!config.predictions.empty(), kInvalidArgument, kInScore, "want --predictions FILE");
  watch_interrupts();
  const Samples samples = read_score_samples({.predictions = config.predictions,
                                              .references = config.references,
                                              .reads_newlines = has("rouge"),
                                              .needs_task = has("babi"),
                                              .needs_reference_text = !has("multirc")});
  Json result{{"samples", samples.size()}};
  for (const Metric& metric : metrics) metric.add(result, samples, config);
  show(result, console);
  return result;
}

}  // namespace

Command score_command() {
  return make_command<ScoreConfig>(
      {"score", "texts of any program against references: EM, F1, ROUGE, BLEU and others",
       "  dsrasq score --metric em,f1 --predictions answers.jsonl\n"
       "  dsrasq score --metric rouge --stem --predictions out.txt --references summaries.txt\n"
       "  dsrasq score --metric bleu --predictions out.txt --references a.txt b.txt --json\n"},
      score);
}

}  // namespace dsrasq::cli
