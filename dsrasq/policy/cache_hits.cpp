#include "dsrasq/policy/cache_hits.h"

#include <utility>

namespace dsrasq::policy {
namespace {

// How many numbers two ascending lists have in common.
int64_t n_common(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  int64_t n = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    n += a[i] == b[j];
    const bool next_a = a[i] <= b[j], next_b = b[j] <= a[i];
    i += next_a, j += next_b;
  }
  return n;
}

}  // namespace

void CacheHits::add(int64_t layer, const memory::TokenPool& pool, const Selection& selection) {
  auto& last = last_[static_cast<size_t>(layer)];
  const auto top_k = static_cast<size_t>(selection.top_k);
  for (size_t t = 0; t < selection.counts.size(); ++t) {
    std::vector<int64_t> now(static_cast<size_t>(selection.counts[t]));
    for (size_t i = 0; i < now.size(); ++i)
      now[i] = pool.position_of(selection.slots[t * top_k + i]);
    if (last && !now.empty()) {
      sum_ += static_cast<double>(n_common(now, *last)) / static_cast<double>(now.size());
      ++n_;
    }
    last = std::move(now);
  }
}

std::optional<double> CacheHits::rate() const {
  if (n_ == 0) return std::nullopt;
  return sum_ / static_cast<double>(n_);
}

void count_hits(Policy& policy) {
  if (auto* counting = dynamic_cast<CountsHits*>(&policy)) counting->count_hits();
}

std::optional<double> cache_hit_rate(const Policy& policy) {
  const auto* counting = dynamic_cast<const CountsHits*>(&policy);
  return counting == nullptr ? std::nullopt : counting->cache_hit_rate();
}

}  // namespace dsrasq::policy
