#include "dsrasq/metrics/answer_match.h"

#include <algorithm>

#include "dsrasq/metrics/ngram_counts.h"
#include "dsrasq/metrics/python_text.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::metrics {
namespace {

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool is_article(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

// Words as `\b` finds them: "a" is one even where a combining mark follows it.
std::string without_articles(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size()) {
      const text::CodePoint point = text::read_code_point(text, end);
      if (!is_word(point.value)) break;
      end += point.length;
    }
    const std::string_view word = text.substr(at, end - at);
    if (is_article(word)) {
      out += ' ';
    } else if (!word.empty()) {
      out += word;
    } else {
      end += text::read_code_point(text, at).length;
      out += text.substr(at, end - at);
    }
    at = end;
  }
  return out;
}

}  // namespace

std::string normalized_answer(std::string_view text) {
  std::string lowered = lower(text);
  std::erase_if(lowered, is_ascii_punctuation);
  const std::string words = without_articles(lowered);
  std::string out;
  for (const std::string_view word : split_at_space(words)) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

bool exact_match(std::string_view prediction, std::span<const std::string> references) {
  const std::string answer = normalized_answer(prediction);
  return std::any_of(references.begin(), references.end(), [&](const std::string& reference) {
    return normalized_answer(reference) == answer;
  });
}

PrecisionRecall answer_overlap(std::string_view prediction,
                               std::span<const std::string> references) {
  TokenNumbers numbers;
  const std::string answer = normalized_answer(prediction);
  const std::vector<int32_t> words = numbers.all(split_at_space(answer));
  const NgramCounts counts = count_ngrams(words, 1);
  PrecisionRecall best;
  for (const std::string& reference : references) {
    const std::string wanted = normalized_answer(reference);
    const std::vector<int32_t> wanted_words = numbers.all(split_at_space(wanted));
    const PrecisionRecall found = precision_recall(
        count_common(counts, count_ngrams(wanted_words, 1)), static_cast<int64_t>(words.size()),
        static_cast<int64_t>(wanted_words.size()));
    if (found.fmeasure > best.fmeasure) best = found;
  }
  return best;
}

}  // namespace dsrasq::metrics
