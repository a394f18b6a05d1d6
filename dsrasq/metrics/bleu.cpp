#include "dsrasq/metrics/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "dsrasq/metrics/ngram_counts.h"

namespace dsrasq::metrics {
namespace {

static_assert(kBleuOrders <= kMaxNgram);

int64_t size_of(const std::vector<int32_t>& tokens) { return static_cast<int64_t>(tokens.size()); }

int64_t closest_length(int64_t length, const std::vector<std::vector<int32_t>>& references) {
  const auto best =
      std::min_element(references.begin(), references.end(), [&](const auto& a, const auto& b) {
        const int64_t from_a = std::abs(size_of(a) - length);
        const int64_t from_b = std::abs(size_of(b) - length);
        return from_a != from_b ? from_a < from_b : a.size() < b.size();
      });
  return best == references.end() ? 0 : size_of(*best);
}

}  // namespace

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  n_prediction += other.n_prediction;
  n_reference += other.n_reference;
  for (size_t i = 0; i < kBleuOrders; ++i) {
    n_common[i] += other.n_common[i];
    n_ngrams[i] += other.n_ngrams[i];
  }
  return *this;
}

BleuCounts bleu_counts(std::string_view prediction, std::span<const std::string> references,
                       BleuTokenizer tokenizer) {
  TokenNumbers numbers;
  const std::vector<int32_t> predicted = numbers.all(bleu_tokens(prediction, tokenizer));
  std::vector<std::vector<int32_t>> wanted;
  for (const std::string& reference : references)
    wanted.push_back(numbers.all(bleu_tokens(reference, tokenizer)));
  BleuCounts counts;
  counts.n_prediction = size_of(predicted);
  counts.n_reference = closest_length(counts.n_prediction, wanted);
  for (size_t n = 1; n <= kBleuOrders; ++n) {
    NgramCounts most;
    for (const std::vector<int32_t>& tokens : wanted) {
      for (const auto& [ngram, count] : count_ngrams(tokens, n)) {
        int64_t& kept = most[ngram];
        kept = std::max(kept, count);
      }
    }
    counts.n_common[n - 1] = count_common(count_ngrams(predicted, n), most);
    counts.n_ngrams[n - 1] =
        std::max<int64_t>(counts.n_prediction - static_cast<int64_t>(n) + 1, 0);
  }
  return counts;
}

Bleu bleu(const BleuCounts& counts) {
  Bleu out;
  out.brevity_penalty = 1;
  if (counts.n_prediction < counts.n_reference) {
    out.brevity_penalty = counts.n_prediction == 0
                              ? 0
                              : std::exp(1 - static_cast<double>(counts.n_reference) /
                                                 static_cast<double>(counts.n_prediction));
  }
  if (counts.n_common[0] == 0) return out;  // so no longer n-gram matches either
  double smoothing = 1, log_sum = 0;
  for (size_t i = 0; i < kBleuOrders; ++i) {
    if (counts.n_ngrams[i] == 0) return out;
    const double total = static_cast<double>(counts.n_ngrams[i]);
    if (counts.n_common[i] == 0) smoothing *= 2;
    out.precisions[i] = counts.n_common[i] == 0
                            ? 100 / (smoothing * total)
                            : 100 * static_cast<double>(counts.n_common[i]) / total;
    log_sum += std::log(out.precisions[i]);
  }
  out.score = out.brevity_penalty * std::exp(log_sum / kBleuOrders);
  return out;
}

}  // namespace dsrasq::metrics
