#pragma once

// Exact match and token F1 of short answers, as SQuAD scores them (Rajpurkar et al. 2016,
// evaluate-v1.1). LongBench's `qa_f1_score` is the same F1.

#include <span>
#include <string>
#include <string_view>

#include "dsrasq/metrics/precision_recall.h"

namespace dsrasq::metrics {

/// Lower case, without ASCII punctuation and the words a, an and the, single spaces. Bytes that are
/// not UTF-8 count as U+FFFD.
std::string normalized_answer(std::string_view text);

/// Whether the normalised texts are equal, for any of the references.
bool exact_match(std::string_view prediction, std::span<const std::string> references);

/// Overlap of the words of both normalised texts, each word as often as it occurs in both; of
/// several references the one with the greatest F1. Without a word in common it is 0, so also where
/// both are empty (SQuAD 2.0 calls that 1).
PrecisionRecall answer_overlap(std::string_view prediction,
                               std::span<const std::string> references);

}  // namespace dsrasq::metrics
