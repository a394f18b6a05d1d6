#pragma once

// How much of what a query reads of the pool the query before it had read too: what a cache of the
// last query's tokens would save of the gathering.

#include <cstdint>
#include <optional>
#include <vector>

#include "dsrasq/policy/selector.h"

namespace dsrasq::policy {

/// Counts over the calls of a sequence, by positions: a slot that holds another token since is none
/// of the last query's.
class CacheHits {
 public:
  explicit CacheHits(int64_t n_layers) : last_(static_cast<size_t>(n_layers)) {}

  /// What the queries of a layer's next call picked of its pool.
  void add(int64_t layer, const memory::TokenPool& pool, const Selection& selection);
  /// The share of a query's tokens that the query before it picked too, mean over the queries and
  /// layers that picked any. Nothing when none did. A layer's first query has none before it.
  std::optional<double> rate() const;

 private:
  std::vector<std::optional<std::vector<int64_t>>> last_;  // by layer: positions, ascending
  double sum_ = 0;
  int64_t n_ = 0;
};

/// A policy that can count its hits, at a cost that it has only while it counts.
class CountsHits {
 public:
  virtual ~CountsHits() = default;
  /// From here on, from 0.
  virtual void count_hits() = 0;
  virtual std::optional<double> cache_hit_rate() const = 0;
};

/// Makes `policy` count from here on, where it can.
void count_hits(Policy& policy);
/// As above; nothing where the policy does not count or picked nothing.
std::optional<double> cache_hit_rate(const Policy& policy);

}  // namespace dsrasq::policy
