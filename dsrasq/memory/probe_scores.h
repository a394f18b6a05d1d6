#pragma once

// How well each page of a pool answers each probe of a question, and from that which pages to keep:
// every probe its own best ones. A few words of a question find its evidence; sums over all probes,
// or the largest score of any, drown them (docs/decisions/question-retention.md).

#include <cstdint>
#include <span>
#include <vector>

#include "dsrasq/core/buffer.h"

namespace dsrasq::memory {

class ProbeScores {
 public:
  ProbeScores() = default;
  explicit ProbeScores(int64_t n_pages);

  /// Forgets a page's scores: it answers nothing.
  void clear(int64_t page);
  /// `score` must be a number.
  void set(int64_t page, int64_t probe, float score);
  /// For each of the pages its best rank among them by any probe, 0 the best; `pages.size()` for
  /// those without scores. Of equal scores the page named first is better.
  std::vector<int64_t> best_ranks(std::span<const int64_t> pages) const;

  /// Throws kBadInput when restored scores are no numbers.
  void check() const;
  static size_t planned_bytes(int64_t n_pages);
  template <class Visit>
  void visit(Visit&& visit) const {
    visit("pool_probe_scores", scores_.raw());
  }

 private:
  Buffer<float> scores_;  // [n_pages, kMaxProbes], -infinity: none
};

}  // namespace dsrasq::memory
