#pragma once

// The latest tokens, with or without the first ones: StreamingLLM (Xiao et al. 2024, arXiv
// 2309.17453), and layers of a model that have a sliding window of their own.

#include <vector>

#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

/// Holds the first `n_sinks` tokens and the last `n_recent` of the others; a query reads those that
/// are held when it comes, and itself. Positions are numbered in the cache: sinks first, no gap
/// behind them, a query at most at n_sinks + n_recent. Since RoPE sees differences of positions
/// only, recent keys are kept rotated at their true ones, and only the distance to the sinks is
/// capped: the same attention as with all keys rotated anew at every step.
class BandLayer final : public LayerMemory {
 public:
  BandLayer(const HeadShape& shape, const ops::Rope& rope, int64_t n_sinks, int64_t n_recent);

  at::Tensor attend(const LayerTokens& tokens) override;
  size_t bytes() const override;
  std::vector<std::vector<int64_t>> held() const override;

  static size_t planned_bytes(const HeadShape& shape, int64_t n_sinks, int64_t n_recent) {
    return shape.token_bytes() * static_cast<size_t>(n_sinks + n_recent);
  }

 private:
  at::Tensor sink_logits(const LayerTokens& tokens, int64_t n_sinks) const;
  void store_recent(const at::Tensor& keys, const at::Tensor& values);

  HeadShape shape_;
  const ops::Rope& rope_;
  int64_t n_sinks_, n_recent_;
  at::Tensor sink_keys_, sink_values_;      // [Hkv, n_sinks, D]
  at::Tensor recent_keys_, recent_values_;  // [Hkv, n_recent, D], by position
  int64_t position_ = 0, n_held_ = 0;       // n_held_: recent rows that are set
};

}  // namespace dsrasq::policy
