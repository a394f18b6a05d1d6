#pragma once

// Which KV heads look for earlier copies of what they read: the heads that RazorAttention (Tang et
// al. 2024, arXiv 2407.15891) leaves whole. Found by letting the model read a random sequence
// several times over, with full attention.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dsrasq/policy/policy.h"

namespace dsrasq::policy {

/// `[L][Hkv]`; all false in layers with a sliding window of their own.
using RetrievalHeads = std::vector<std::vector<bool>>;

/// How many of `n` KV heads the probe names at most: 14 % by induction and 1 % by echo.
int64_t most_retrieval_heads(int64_t n);

/// One reading of the probe. Let the model read `ids()` with `policy()`, as far as its `admit`
/// allows at a time; then `heads()` knows. `shape` must outlive it.
class RetrievalProbe {
 public:
  /// `vocab` token ids are drawn from at random, the same every time; `bos` comes first where there
  /// is one. The sequence has 2,500 tokens, or a quarter of the trained context where that is
  /// shorter; it comes four times.
  RetrievalProbe(const AttentionShape& shape, at::Device device, int64_t vocab,
                 std::optional<int32_t> bos);
  ~RetrievalProbe();

  const std::vector<int32_t>& ids() const { return ids_; }
  Policy& policy() { return *policy_; }

  /// Mean attention of the repetitions' queries `[layers without a sliding window, Hkv]`, largest
  /// of a KV head's query heads: to earlier copies of their own token, and to the tokens behind
  /// those.
  at::Tensor echo() const;
  at::Tensor induction() const;
  RetrievalHeads heads() const;

 private:
  class Layer;
  at::Tensor means(at::Tensor (Layer::*sum)() const) const;

  const AttentionShape& shape_;
  int64_t length_ = 0;  // of the sequence
  std::vector<int32_t> ids_;
  std::vector<const Layer*> layers_;  // owned by the policy
  std::unique_ptr<Policy> policy_;
};

}  // namespace dsrasq::policy
