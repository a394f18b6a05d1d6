#include "dsrasq/session/passages.h"

#include <algorithm>
#include <cstdlib>

namespace dsrasq::session {
namespace {

// Retrieval weight per token of one text.
std::vector<double> weights_of(const ReadText& text,
                               const std::vector<policy::RetrievedToken>& retrieved,
                               const std::vector<policy::RetrievedToken>& background) {
  std::vector<double> weights(text.tokens.size());
  const auto add = [&](const std::vector<policy::RetrievedToken>& tokens, double sign) {
    double total = 0;
    for (const auto& token : tokens) total += token.weight;
    if (total == 0) return;
    for (const auto& token : tokens) {
      const int64_t index = token.position - text.first_token;
      if (index >= 0 && index < static_cast<int64_t>(weights.size()))
        weights[static_cast<size_t>(index)] += sign * token.weight / total;
    }
  };
  add(retrieved, 1);
  add(background, -1);
  for (double& weight : weights) weight = std::max(weight, 0.0);
  return weights;
}

struct Candidate {
  size_t text;
  int64_t begin;  // token index
  double weight;
};

}  // namespace

std::vector<Passage> find_passages(const std::vector<policy::RetrievedToken>& retrieved,
                                   const std::vector<policy::RetrievedToken>& background,
                                   std::span<const ReadText> texts, const PassageOptions& options) {
  std::vector<Candidate> candidates;
  for (size_t t = 0; t < texts.size(); ++t) {
    const std::vector<double> weights = weights_of(texts[t], retrieved, background);
    const auto n = static_cast<int64_t>(weights.size());
    const int64_t width = std::min(options.passage_tokens, n);
    double sum = 0;
    for (int64_t end = 1; end <= n; ++end) {
      sum += weights[static_cast<size_t>(end - 1)];
      if (end > width) sum -= weights[static_cast<size_t>(end - 1 - width)];
      if (end >= width) candidates.push_back({t, end - width, sum});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });

  std::vector<Candidate> chosen;
  for (const Candidate& candidate : candidates) {
    if (static_cast<int64_t>(chosen.size()) == options.n_passages || candidate.weight <= 0) break;
    const bool overlaps = std::any_of(chosen.begin(), chosen.end(), [&](const Candidate& other) {
      return other.text == candidate.text &&
             std::abs(other.begin - candidate.begin) < options.passage_tokens;
    });
    if (!overlaps) chosen.push_back(candidate);
  }

  std::vector<Passage> passages;
  for (const Candidate& candidate : chosen) {
    const ReadText& text = texts[candidate.text];
    const auto n = static_cast<int64_t>(text.tokens.size());
    const int64_t last = std::min(candidate.begin + options.passage_tokens, n) - 1;
    const uint64_t start = text.tokens[static_cast<size_t>(candidate.begin)].begin;
    const uint64_t end = text.tokens[static_cast<size_t>(last)].end;
    passages.push_back(
        {text.file, start, end, candidate.weight, text.text.substr(start, end - start)});
  }
  return passages;
}

}  // namespace dsrasq::session
