#pragma once

// A cache of fixed size from which one token leaves whenever one comes: H2O (Zhang et al. 2023,
// arXiv 2306.14048) and TOVA (Oren et al. 2024, arXiv 2401.06104), which differ in who leaves.

#include <vector>

#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

/// Which token leaves: of those that are not among the `n_recent` latest, the one with the lowest
/// score.
struct Evictor {
  int64_t n_recent = 0;
  /// The new scores `[Hkv, N]` from the old ones (0 for tokens that just came) and the weights
  /// `[H, T, N]` with which T queries read the tokens.
  at::Tensor (*score)(const at::Tensor& scores, const at::Tensor& weights) = nullptr;
};

/// The attention received so far, mean over the group's heads; half of the cache is for the latest
/// tokens.
Evictor h2o_evictor(int64_t cache);
/// The attention of the latest query alone, mean over all heads: every KV head holds the same
/// tokens. The latest token may be the one that leaves.
Evictor tova_evictor();

/// Reads up to `cache` tokens as full attention does; then every token is read with those held and
/// itself, and one of these leaves. Token by token, as both papers say it: what is held then
/// depends on the text alone and not on how it was cut, and is never more than `cache` tokens.
class SteppedLayer final : public LayerMemory {
 public:
  SteppedLayer(const HeadShape& shape, int64_t cache, const Evictor& evictor);

  at::Tensor attend(const LayerTokens& tokens) override;
  size_t bytes() const override;
  std::vector<std::vector<int64_t>> held() const override;

  static size_t planned_bytes(const HeadShape& shape, int64_t cache);

 private:
  at::Tensor fill(const LayerTokens& tokens, int64_t n);
  at::Tensor step(const LayerTokens& tokens, int64_t t);
  at::Tensor evict(int64_t position) const;

  HeadShape shape_;
  int64_t cache_;
  Evictor evictor_;
  // Slots in no order; one more than stay, for the token that comes.
  at::Tensor keys_, values_;  // [Hkv, cache + 1, D]
  at::Tensor scores_;         // [Hkv, cache + 1] fp32
  at::Tensor positions_;      // [Hkv, cache + 1], -1 where a slot is free
  at::Tensor free_;           // [Hkv, 1] the slot for the next token, once `cache` are held
  int64_t n_filled_ = 0;      // tokens held while there is room
};

}  // namespace dsrasq::policy
