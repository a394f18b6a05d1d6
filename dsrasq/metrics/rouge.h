#pragma once

// ROUGE (Lin 2004) as PyPI `rouge-score` computes it: lower case, runs of a-z and 0-9 are tokens.

#include <span>
#include <string>
#include <string_view>

#include "dsrasq/metrics/precision_recall.h"

namespace dsrasq::metrics {

struct RougeScores {
  PrecisionRecall rouge1, rouge2;  ///< overlap of words, of pairs of words
  PrecisionRecall rouge_l;         ///< longest common subsequence of the whole texts
  PrecisionRecall rouge_lsum;      ///< the same by sentences, which are lines
};

/// With `stem`, tokens of more than three characters count by their Porter stem. Of several
/// references each score is the one with the greatest F-measure, the first of equal ones. Throws
/// kResourceExhausted for sentences too long to compare (lcs_places).
RougeScores rouge(std::string_view prediction, std::span<const std::string> references, bool stem);

}  // namespace dsrasq::metrics
