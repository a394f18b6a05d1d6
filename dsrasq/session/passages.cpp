#include "dsrasq/session/passages.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace dsrasq::session {
namespace {

// Sums that slide along a text leave rounding errors where nothing was read.
constexpr double kLeastWeight = 1e-9;

struct Candidate {
  size_t text;
  int64_t begin;  // token index
  double weight;
};

}  // namespace

PassageRanking::PassageRanking(const std::vector<policy::RetrievedToken>& retrieved,
                               const std::map<int64_t, float>& recall, int64_t position) {
  std::map<int64_t, double> layer_weight;
  for (const auto& token : retrieved) layer_weight[token.layer] += token.weight;
  double total = 0;
  for (const auto& token : retrieved) {
    const auto share = recall.find(token.layer);
    const double counts = recall.empty() ? 1 : share == recall.end() ? 0 : share->second;
    if (counts <= 0 || token.weight <= 0) continue;
    const auto distance = static_cast<double>(std::max<int64_t>(1, position - token.position));
    const double weight = counts * token.weight / layer_weight[token.layer] * std::sqrt(distance);
    weights_[token.position] += weight;
    total += weight;
  }
  for (auto& [place, weight] : weights_) weight /= total;
}

double PassageRanking::weight(int64_t position) const {
  const auto found = weights_.find(position);
  return found == weights_.end() ? 0 : found->second;
}

std::vector<Passage> find_passages(const PassageRanking& ranking, std::span<const ReadText> texts,
                                   const PassageOptions& options) {
  std::vector<Candidate> candidates;
  for (size_t t = 0; t < texts.size(); ++t) {
    const auto n = static_cast<int64_t>(texts[t].tokens.size());
    const int64_t width = std::min(options.passage_tokens, n);
    const auto weight = [&](int64_t i) { return ranking.weight(texts[t].first_token + i); };
    double sum = 0;
    for (int64_t end = 1; end <= n; ++end) {
      sum += weight(end - 1);
      if (end > width) sum -= weight(end - 1 - width);
      if (end >= width) candidates.push_back({t, end - width, sum});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });

  std::vector<Candidate> chosen;
  for (const Candidate& candidate : candidates) {
    if (static_cast<int64_t>(chosen.size()) == options.n_passages ||
        candidate.weight <= kLeastWeight)
      break;
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
