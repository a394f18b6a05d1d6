#pragma once

// Corpus BLEU (Papineni et al. 2002) as sacreBLEU computes it (Post 2018): orders 1 to 4, closest
// reference length, exponential smoothing.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "dsrasq/metrics/bleu_tokenizer.h"

namespace dsrasq::metrics {

constexpr size_t kBleuOrders = 4;

/// What a corpus is summed up to. All counts are of tokens and n-grams.
struct BleuCounts {
  int64_t n_prediction = 0, n_reference = 0;
  std::array<int64_t, kBleuOrders> n_common{}, n_ngrams{};  ///< by order, from 1

  BleuCounts& operator+=(const BleuCounts& other);
};

/// One sample. Each n-gram may match as often as it occurs in any one reference; the reference
/// length is the closest, of two equally close ones the shorter.
BleuCounts bleu_counts(std::string_view prediction, std::span<const std::string> references,
                       BleuTokenizer tokenizer);

/// Percent, but for `brevity_penalty`.
struct Bleu {
  double score = 0;
  std::array<double, kBleuOrders> precisions{};  ///< by order; smoothed
  double brevity_penalty = 0;
};

/// 0 without a common token, or where the predictions have no n-gram of some order. An order
/// without matches counts half as much as the one without before it.
Bleu bleu(const BleuCounts& counts);

}  // namespace dsrasq::metrics
