#include "dsrasq/eval/task_figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/longbench.h"
#include "dsrasq/metrics/answer_match.h"
#include "dsrasq/metrics/babi.h"
#include "dsrasq/metrics/bleu.h"
#include "dsrasq/metrics/precision_recall.h"
#include "dsrasq/metrics/python_text.h"
#include "dsrasq/metrics/rouge.h"
#include "dsrasq/metrics/string_match.h"

namespace dsrasq::eval {
namespace {

using data::TaskFormat;
using data::TaskSample;
using Json = nlohmann::ordered_json;
using Sums = std::span<const double>;

constexpr const char* kInTaskFigures = "eval.task_figures";
constexpr size_t kBleuStatistics = 2 + 2 * metrics::kBleuOrders;

double mean_value(Sums sums, double n_samples) { return n_samples > 0 ? sums[0] / n_samples : 0; }

std::vector<double> bleu_statistics(const metrics::BleuCounts& counts) {
  std::vector<double> out{static_cast<double>(counts.n_prediction),
                          static_cast<double>(counts.n_reference)};
  out.insert(out.end(), counts.n_common.begin(), counts.n_common.end());
  out.insert(out.end(), counts.n_ngrams.begin(), counts.n_ngrams.end());
  return out;
}

double bleu_value(Sums sums, double) {
  const auto count = [&](size_t i) { return static_cast<int64_t>(sums[i]); };
  metrics::BleuCounts counts{.n_prediction = count(0), .n_reference = count(1)};
  for (size_t i = 0; i < metrics::kBleuOrders; ++i) {
    counts.n_common[i] = count(2 + i);
    counts.n_ngrams[i] = count(2 + metrics::kBleuOrders + i);
  }
  return metrics::bleu(counts).score;
}

// Of the negative log-likelihood of texts and their tokens.
double perplexity_value(Sums sums, double) { return sums[1] > 0 ? std::exp(sums[0] / sums[1]) : 0; }

// Of what is right and chosen, chosen, right.
double f1a_value(Sums sums, double) {
  const auto count = [&](size_t i) { return static_cast<int64_t>(sums[i]); };
  return metrics::precision_recall(count(0), count(1), count(2)).fmeasure;
}

// Of a part and the whole.
double share_value(Sums sums, double) { return sums[1] > 0 ? sums[0] / sums[1] : 0; }

std::set<std::string> option_numbers(const std::string& list) {
  std::set<std::string> numbers;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) numbers.insert(part);
  return numbers;
}

std::string right_options(const TaskSample& sample) {
  std::string list;
  for (size_t i = 0; i < sample.options.size(); ++i)
    if (sample.options[i].is_right) list += concat(list.empty() ? "" : ",", i);
  return list;
}

std::vector<Score> multirc_scores(const TaskSample& sample, const std::string& answer) {
  const std::set<std::string> chosen = option_numbers(answer);
  const std::set<std::string> right = option_numbers(right_options(sample));
  const auto n_common = std::count_if(chosen.begin(), chosen.end(), [&](const std::string& number) {
    return right.contains(number);
  });
  return {{"f1a",
           {static_cast<double>(n_common), static_cast<double>(chosen.size()),
            static_cast<double>(right.size())}},
          {"em", {static_cast<double>(chosen == right)}}};
}

std::vector<Score> qa_scores(const TaskSample& sample, const std::string& answer) {
  if (sample.format == TaskFormat::kMultiRc) return multirc_scores(sample, answer);
  return {{"em", {static_cast<double>(metrics::exact_match(answer, sample.references))}},
          {"f1", {metrics::answer_overlap(answer, sample.references).fmeasure}}};
}

// With Porter's stemmer, as summaries are scored in papers.
std::vector<Score> rouge_scores(const TaskSample& sample, const std::string& answer) {
  const metrics::RougeScores rouge = metrics::rouge(answer, sample.references, true);
  return {{"rouge1", {rouge.rouge1.fmeasure}},
          {"rouge2", {rouge.rouge2.fmeasure}},
          {"rougeL", {rouge.rouge_l.fmeasure}},
          {"rougeLsum", {rouge.rouge_lsum.fmeasure}}};
}

std::vector<Score> ruler_scores(const TaskSample& sample, const std::string& answer) {
  const bool any_will_do = sample.format == TaskFormat::kRuler && sample.task.starts_with("qa");
  const double share =
      any_will_do ? static_cast<double>(metrics::string_match_part(answer, sample.references))
                  : metrics::string_match_all(answer, sample.references);
  return {{"string_match", {share}}};
}

// "qa7" is 7; 0 where the task is not known.
int babi_number(const std::string& task) {
  if (!task.starts_with("qa") || task.size() > 4) return 0;
  int number = 0;
  for (const char c : task.substr(2)) {
    if (c < '0' || c > '9') return 0;
    number = 10 * number + (c - '0');
  }
  return number <= metrics::kBabiTasks ? number : 0;
}

// The answer as a whole; between the words of a list stand commas, spaces or both.
std::vector<Score> babi_scores(const TaskSample& sample, const std::string& answer) {
  const std::string given = metrics::replaced(answer, ",", " ");
  std::vector<std::string> wanted;
  for (const std::string& reference : sample.references)
    wanted.push_back(metrics::replaced(reference, ",", " "));
  std::vector<Score> scores{
      {"accuracy", {static_cast<double>(metrics::exact_match(given, wanted))}}};
  if (const int task = babi_number(sample.task); task > 0)
    scores.push_back(
        {"babilong",
         {static_cast<double>(metrics::babi_correct(answer, sample.references[0], sample.question,
                                                    metrics::babi_labels(task)))}});
  return scores;
}

}  // namespace

const Figure* find_figure(std::string_view name) {
  static constexpr std::array<Figure, 21> kFigures{{{"em", 1, mean_value},
                                                    {"perplexity", 2, perplexity_value},
                                                    {"f1", 1, mean_value},
                                                    {"f1a", 3, f1a_value},
                                                    {"rouge1", 1, mean_value},
                                                    {"rouge2", 1, mean_value},
                                                    {"rougeL", 1, mean_value},
                                                    {"rougeLsum", 1, mean_value},
                                                    {"bleu", kBleuStatistics, bleu_value},
                                                    {"string_match", 1, mean_value},
                                                    {"accuracy", 1, mean_value},
                                                    {"babilong", 1, mean_value},
                                                    {"score", 1, mean_value},
                                                    {"fact_precision", 2, share_value},
                                                    {"fact_recall", 2, share_value},
                                                    {"fact_f1", 3, f1a_value},
                                                    {"fact_chance", 2, share_value},
                                                    {"oracle_precision", 2, share_value},
                                                    {"oracle_recall", 2, share_value},
                                                    {"oracle_f1", 3, f1a_value},
                                                    {"oracle_mass", 2, share_value}}};
  const auto found = std::find_if(kFigures.begin(), kFigures.end(),
                                  [&](const Figure& figure) { return figure.name == name; });
  return found == kFigures.end() ? nullptr : &*found;
}

std::vector<Score> score_answer(TaskKind kind, const TaskSample& sample,
                                const std::string& answer) {
  switch (kind) {
    case TaskKind::kQa: return qa_scores(sample, answer);
    case TaskKind::kSummarization: return rouge_scores(sample, answer);
    case TaskKind::kTranslation:
      return {{"bleu", bleu_statistics(metrics::bleu_counts(answer, sample.references,
                                                            metrics::BleuTokenizer::k13a))}};
    case TaskKind::kRuler: return ruler_scores(sample, answer);
    case TaskKind::kBabi: return babi_scores(sample, answer);
    case TaskKind::kLongBench: break;
  }
  return {{"score", {longbench_score(longbench_set(sample.task), answer, sample)}}};
}

std::vector<std::string> shown_references(const TaskSample& sample) {
  if (sample.format != TaskFormat::kMultiRc) return sample.references;
  const std::string right = right_options(sample);
  return right.empty() ? std::vector<std::string>{} : std::vector<std::string>{right};
}

Json to_json(const std::vector<Score>& scores) {
  Json out = Json::object();
  for (const Score& score : scores) {
    if (score.statistics.size() == 1)
      out[score.figure] = score.statistics[0];
    else
      out[score.figure] = score.statistics;
  }
  return out;
}

std::vector<Score> scores_from_json(const Json& json) {
  DSRASQ_CHECK(json.is_object(), kBadInput, kInTaskFigures, "scores are no JSON object");
  std::vector<Score> scores;
  for (const auto& [name, value] : json.items()) {
    const Figure* figure = find_figure(name);
    DSRASQ_CHECK(figure != nullptr, kBadInput, kInTaskFigures, "there is no score \"", name, '"');
    Score score{name, {}};
    const Json numbers = value.is_array() ? value : Json::array({value});
    for (const Json& number : numbers)
      if (number.is_number()) score.statistics.push_back(number.get<double>());
    DSRASQ_CHECK(score.statistics.size() == figure->n_statistics &&
                     score.statistics.size() == numbers.size(),
                 kBadInput, kInTaskFigures, "score \"", name, "\" is not made of ",
                 figure->n_statistics, " numbers");
    scores.push_back(std::move(score));
  }
  return scores;
}

}  // namespace dsrasq::eval
