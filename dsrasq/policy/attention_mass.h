#pragma once

// The attention that queries would give to each token of a pool if they read all of it: what
// `oracle` picks by, and what other selections are measured with.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "dsrasq/policy/selector.h"

namespace dsrasq::policy {

class AttentionMass {
 public:
  AttentionMass(const AttentionShape& shape, int64_t n_sinks, int64_t max_distance);

  /// Keeps the keys of the sinks among a call's tokens: wants every call of a layer, in order.
  void keep_sinks(const SelectionRequest& request);

  /// `slots` are those of the pool's tokens that the query may pick, by position; `mass` the share
  /// of its attention over sinks, window and pool that each would get, mean over heads.
  using Use = std::function<void(int64_t query, std::span<const int32_t> slots,
                                 std::span<const float> mass)>;
  /// Calls `use` for each query of a call whose sinks are kept, which is not quick.
  void for_each_query(const SelectionRequest& request, const Use& use) const;

 private:
  at::Tensor stored_keys(const SelectionRequest& request, const std::vector<int32_t>& slots) const;
  at::Tensor mass(const SelectionRequest& request, const at::Tensor& keys,
                  const at::Tensor& positions, int64_t begin, int64_t n) const;

  AttentionShape shape_;
  int64_t n_sinks_, max_distance_;
  std::vector<at::Tensor> sinks_;  // by layer: keys of the first tokens [n_sinks, Hkv, D]
};

/// Places of the `k` greatest values, ascending; of equal values the first ones.
std::vector<int64_t> places_of_greatest(std::span<const float> values, int64_t k);

}  // namespace dsrasq::policy
