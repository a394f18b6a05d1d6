#include "dsrasq/metrics/rouge.h"

#include <algorithm>
#include <vector>

#include "dsrasq/metrics/lcs.h"
#include "dsrasq/metrics/ngram_counts.h"
#include "dsrasq/metrics/porter_stemmer.h"
#include "dsrasq/metrics/python_text.h"

namespace dsrasq::metrics {
namespace {

using Tokens = std::vector<int32_t>;

constexpr size_t kLongestUnstemmed = 3;

bool is_token_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// A text as numbers of tokens: whole, and by lines.
struct Tokenized {
  Tokens all;
  std::vector<Tokens> sentences;

  Tokenized(std::string_view text, bool stem, TokenNumbers& numbers) {
    all = tokenize(text, stem, numbers);
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (end > 0) sentences.push_back(tokenize(text.substr(0, end), stem, numbers));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

 private:
  static Tokens tokenize(std::string_view text, bool stem, TokenNumbers& numbers) {
    const std::string lowered = lower(text);
    Tokens tokens;
    for (auto at = lowered.begin(); at != lowered.end();) {
      at = std::find_if(at, lowered.end(), is_token_char);
      const auto end = std::find_if_not(at, lowered.end(), is_token_char);
      const std::string_view token(at, end);
      if (stem && token.size() > kLongestUnstemmed) {
        tokens.push_back(numbers(porter_stem(token)));
      } else if (!token.empty()) {
        tokens.push_back(numbers(token));
      }
      at = end;
    }
    return tokens;
  }
};

int64_t n_ngrams(const Tokens& tokens, size_t n) {
  return tokens.size() < n ? 0 : static_cast<int64_t>(tokens.size() - n + 1);
}

PrecisionRecall rouge_n(const Tokens& prediction, const Tokens& reference, size_t n) {
  return precision_recall(count_common(count_ngrams(prediction, n), count_ngrams(reference, n)),
                          n_ngrams(prediction, n), n_ngrams(reference, n));
}

// Tokens of `sentence` that lie on the longest common subsequence with any of `others`.
Tokens union_lcs(const Tokens& sentence, const std::vector<Tokens>& others) {
  std::vector<bool> is_common(sentence.size());
  for (const Tokens& other : others) {
    for (const size_t place : lcs_places(sentence, other, LcsTie::kDropFirst))
      is_common[place] = true;
  }
  Tokens out;
  for (size_t i = 0; i < sentence.size(); ++i)
    if (is_common[i]) out.push_back(sentence[i]);
  return out;
}

PrecisionRecall rouge_lsum(const Tokenized& prediction, const Tokenized& reference) {
  // What each side still has of every token, so that none counts twice.
  NgramCounts left_prediction, left_reference;
  const auto key = [](int32_t token) { return Ngram{token, -1, -1, -1}; };
  for (const Tokens& sentence : prediction.sentences)
    for (const int32_t token : sentence) ++left_prediction[key(token)];
  for (const Tokens& sentence : reference.sentences)
    for (const int32_t token : sentence) ++left_reference[key(token)];
  int64_t n_common = 0;
  for (const Tokens& sentence : reference.sentences) {
    for (const int32_t token : union_lcs(sentence, prediction.sentences)) {
      int64_t& of_prediction = left_prediction[key(token)];
      int64_t& of_reference = left_reference[key(token)];
      if (of_prediction == 0 || of_reference == 0) continue;
      --of_prediction;
      --of_reference;
      ++n_common;
    }
  }
  return precision_recall(n_common, n_ngrams(prediction.all, 1), n_ngrams(reference.all, 1));
}

void keep_better(PrecisionRecall& best, const PrecisionRecall& other, bool is_first) {
  if (is_first || other.fmeasure > best.fmeasure) best = other;
}

}  // namespace

RougeScores rouge(std::string_view prediction, std::span<const std::string> references, bool stem) {
  TokenNumbers numbers;
  const Tokenized predicted(prediction, stem, numbers);
  RougeScores best;
  for (size_t i = 0; i < references.size(); ++i) {
    const Tokenized wanted(references[i], stem, numbers);
    keep_better(best.rouge1, rouge_n(predicted.all, wanted.all, 1), i == 0);
    keep_better(best.rouge2, rouge_n(predicted.all, wanted.all, 2), i == 0);
    keep_better(best.rouge_l,
                precision_recall(lcs_length(wanted.all, predicted.all), n_ngrams(predicted.all, 1),
                                 n_ngrams(wanted.all, 1)),
                i == 0);
    keep_better(best.rouge_lsum, rouge_lsum(predicted, wanted), i == 0);
  }
  return best;
}

}  // namespace dsrasq::metrics
