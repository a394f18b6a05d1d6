#pragma once

// Which tokens of the pool a query reads: the one point in which dsrasq and its controls differ.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/memory/token_pool.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/retriever/indexer.h"

namespace dsrasq::policy {

/// The queries of one layer's call. Query t stands at position first + t and may pick pool tokens
/// with positions up to first + t - window.
struct SelectionRequest {
  const LayerInput& input;
  int64_t first = 0;
  int64_t n_queries = 0;
  int64_t window = 0;
  const memory::TokenPool& pool;
  const retriever::IndexRows* index = nullptr;  ///< of the same tokens, where there is an indexer
};

/// For each query the pool slots it picked, ordered by position.
struct Selection {
  int64_t top_k = 0;
  std::vector<int32_t> slots;   ///< `[T, k]`, the first counts[t] of a row are set
  std::vector<int32_t> counts;  ///< `[T]`

  void resize(int64_t n_queries, int64_t k);
};

class Selector {
 public:
  virtual ~Selector() = default;
  virtual void select(const SelectionRequest& request, Selection& selection) = 0;
};

/// Is told what a selector picked.
class SelectionObserver {
 public:
  virtual ~SelectionObserver() = default;
  virtual void selected(const SelectionRequest& request, const Selection& selection) = 0;
};

/// What the index kernels read of a pool.
kernels::IndexPool index_pool(const memory::TokenPool& pool);

/// The learned retriever: the k best index scores, or as many of them as the options and the
/// adapter say (policy/set_size.h).
std::unique_ptr<Selector> make_index_selector(const PolicyOptions& options,
                                              const retriever::Adapter& adapter);
/// k tokens at random, the same for a seed, layer and position.
std::unique_ptr<Selector> make_random_selector(uint64_t seed);
/// The k latest tokens.
std::unique_ptr<Selector> make_recency_selector();
/// The k tokens with the most attention mass, mean over heads, as full attention over sinks, window
/// and pool would give it. Slow: a bound for the others.
std::unique_ptr<Selector> make_oracle_selector(const AttentionShape& shape, int64_t n_sinks,
                                               int64_t max_distance);

}  // namespace dsrasq::policy
