#include "dsrasq/metrics/rouge_longbench.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "dsrasq/metrics/lcs.h"
#include "dsrasq/metrics/ngram_counts.h"
#include "dsrasq/metrics/python_text.h"

namespace dsrasq::metrics {
namespace {

using Tokens = std::vector<int32_t>;
using TokenSet = std::unordered_set<int32_t>;

// A sentence of nothing but white space is one of one empty word.
std::vector<Tokens> sentences_of(std::string_view text, TokenNumbers& numbers) {
  const std::string valid = repaired(text);
  const std::string_view all(valid);
  std::vector<Tokens> sentences;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('.', begin), all.size());
    if (end > begin) {
      Tokens words = numbers.all(split_at_space(all.substr(begin, end - begin)));
      if (words.empty()) words.push_back(numbers(""));
      sentences.push_back(std::move(words));
    }
    begin = end + 1;
  }
  return sentences;
}

double n_different(const std::vector<Tokens>& sentences) {
  TokenSet different;
  for (const Tokens& sentence : sentences) different.insert(sentence.begin(), sentence.end());
  return static_cast<double>(different.size());
}

double score(const std::vector<Tokens>& prediction, const std::vector<Tokens>& reference) {
  if (prediction.empty() || reference.empty()) return 0;
  TokenSet common;
  for (const Tokens& wanted : reference) {
    for (const Tokens& sentence : prediction) {
      for (const size_t place : lcs_places(wanted, sentence, LcsTie::kDropSecond))
        common.insert(wanted[place]);
    }
  }
  const double n_common = static_cast<double>(common.size());
  const double precision = n_common / n_different(prediction);
  const double recall = n_common / n_different(reference);
  return 2 * precision * recall / (precision + recall + 1e-8);
}

}  // namespace

double rouge_longbench(std::string_view prediction, std::span<const std::string> references) {
  TokenNumbers numbers;
  const std::vector<Tokens> sentences = sentences_of(prediction, numbers);
  double best = 0;
  for (const std::string& reference : references)
    best = std::max(best, score(sentences, sentences_of(reference, numbers)));
  return best;
}

}  // namespace dsrasq::metrics
