#pragma once

// Scores of answers to tasks: what is kept of each answer, and the figures over many.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/data/task_sample.h"
#include "dsrasq/eval/task_rules.h"

namespace dsrasq::eval {

/// A figure is made of sums over samples: of one number where it is a mean, of counts where it is
/// taken over the whole corpus (`bleu`, `f1a`, `perplexity`).
struct Figure {
  std::string_view name;
  size_t n_statistics = 0;
  double (*value)(std::span<const double> sums, double n_samples) = nullptr;
};

/// Null when there is no figure of that name: em, f1, f1a, rouge1, rouge2, rougeL, rougeLsum, bleu,
/// string_match, accuracy, babilong, score, perplexity, and those of retrieval.h.
const Figure* find_figure(std::string_view name);

/// What an answer adds to one figure.
struct Score {
  std::string figure;
  std::vector<double> statistics;
};

/// Scores of what counts of an answer (cleaned_answer), by the kind's metrics. For MultiRC it is
/// the numbers of the chosen options, as "0,2".
std::vector<Score> score_answer(TaskKind kind, const data::TaskSample& sample,
                                const std::string& answer);

/// The right answers as they are written beside a prediction: of MultiRC the numbers of the right
/// options, as "0,2" (none: an empty list), else the references.
std::vector<std::string> shown_references(const data::TaskSample& sample);

/// {"em": 1, "bleu": [..]}: a number, or an array of several.
nlohmann::ordered_json to_json(const std::vector<Score>& scores);
/// Throws kBadInput naming the score that is unknown or has the wrong size.
std::vector<Score> scores_from_json(const nlohmann::ordered_json& json);

}  // namespace dsrasq::eval
