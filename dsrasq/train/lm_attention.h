#pragma once

// How a model that is trained from nothing attends: a batch of stretches of one length in one call,
// one after another in the rows of the activations. Either everything before a token, or what the
// sparse policy reads at inference.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "dsrasq/train/dense_attention.h"
#include "dsrasq/train/indexer_bank.h"
#include "dsrasq/train/stretch_policy.h"

namespace dsrasq::train {

struct LmAttention {
  int64_t length = 0;  ///< T, tokens of a stretch
  int64_t window = 512, sinks = 4, top_k = 256;
  int64_t n_heads = 4;  ///< of an indexer
  bool fake_quantise = true;
};

/// Tokens before a query that it reads, by an indexer that gets no gradient here: `[B, R, end]`
/// bool for the rows `begin` to `end` - 1 of every stretch. `x` `[B * T, E]` is the layer's input.
class LmIndex {
 public:
  LmIndex(const retriever::IndexerParameters& indexer, const at::Tensor& x,
          const LmAttention& options);
  at::Tensor seen(int64_t begin, int64_t end) const;

 private:
  const LmAttention& options_;
  at::Tensor query_, key_, weight_;  // [n_h, B, T, d_i], [B, T, d_i], [B, T, n_h]
};

class LmPolicy final : public StretchPolicy {
 public:
  /// Sees a layer's input `[B * T, E]` and its attention, q and k after RoPE, without gradients.
  using Visit = std::function<void(int64_t layer, const at::Tensor& x, const DenseAttention& all)>;

  /// With `indexers` null everything is read. All must outlive the policy.
  LmPolicy(const policy::AttentionShape& shape, const LmAttention& options, IndexerBank* indexers,
           AngleCache& angles, Visit visit = nullptr)
      : StretchPolicy("lm"),
        shape_(shape),
        options_(options),
        indexers_(indexers),
        angles_(angles),
        visit_(std::move(visit)) {}

  at::Tensor attend(const policy::LayerInput& input) override;

 private:
  DenseAttention turned(const policy::LayerInput& input);

  const policy::AttentionShape& shape_;
  const LmAttention& options_;
  IndexerBank* indexers_;
  AngleCache& angles_;
  Visit visit_;
  std::map<std::vector<double>, ops::Rope::Angles> turns_;  // for the whole batch, by kind of layer
};

}  // namespace dsrasq::train
