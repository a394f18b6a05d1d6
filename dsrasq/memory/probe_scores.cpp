#include "dsrasq/memory/probe_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/memory/probe_set.h"

namespace dsrasq::memory {
namespace {

constexpr int64_t kProbes = ProbeSet::kMaxProbes;
constexpr float kNone = -std::numeric_limits<float>::infinity();

}  // namespace

ProbeScores::ProbeScores(int64_t n_pages) : scores_(n_pages * kProbes) {
  std::fill_n(scores_.data(), scores_.size(), kNone);
}

void ProbeScores::clear(int64_t page) {
  std::fill_n(scores_.data() + page * kProbes, kProbes, kNone);
}

void ProbeScores::set(int64_t page, int64_t probe, float score) {
  scores_[page * kProbes + probe] = score;
}

std::vector<int64_t> ProbeScores::best_ranks(std::span<const int64_t> pages) const {
  const auto n_pages = static_cast<int64_t>(pages.size());
  std::vector<int64_t> best(pages.size(), n_pages);
  std::vector<std::pair<float, int64_t>> order;  // negated score, index in `pages`
  for (int64_t probe = 0; probe < kProbes; ++probe) {
    order.clear();
    for (int64_t i = 0; i < n_pages; ++i) {
      const float score = scores_[pages[static_cast<size_t>(i)] * kProbes + probe];
      if (score > kNone) order.emplace_back(-score, i);
    }
    std::sort(order.begin(), order.end());
    for (size_t rank = 0; rank < order.size(); ++rank) {
      int64_t& mine = best[static_cast<size_t>(order[rank].second)];
      mine = std::min(mine, static_cast<int64_t>(rank));
    }
  }
  return best;
}

void ProbeScores::check() const {
  for (int64_t i = 0; i < scores_.size(); ++i)
    DSRASQ_CHECK(!std::isnan(scores_[i]), kBadInput, "memory.probe_scores", "page ", i / kProbes,
                 " of the saved pool is damaged");
}

size_t ProbeScores::planned_bytes(int64_t n_pages) {
  return static_cast<size_t>(n_pages * kProbes) * sizeof(float);
}

}  // namespace dsrasq::memory
