#pragma once

// Retrieval heads hold everything, the others the latest tokens and the mean of what they dropped:
// RazorAttention (Tang et al. 2024, arXiv 2407.15891).

#include <vector>

#include "dsrasq/policy/growing_rows.h"
#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

/// A head that is no retrieval head reads the sinks, the last max(n_recent, i / 5) of the i tokens
/// before it, itself, and one token more: the mean key and value of the n dropped ones, whose logit
/// gets log n. What is dropped depends on the position alone.
class RazorLayer final : public LayerMemory {
 public:
  struct Size {
    int64_t n_sinks = 0;
    int64_t n_recent = 0;
  };
  /// `is_retrieval` `[Hkv]`.
  RazorLayer(const HeadShape& shape, const std::vector<bool>& is_retrieval, const Size& size);

  at::Tensor attend(const LayerTokens& tokens) override;
  size_t bytes() const override;
  std::vector<std::vector<int64_t>> held() const override;

  /// Growth of a whole KV head by 1,024 tokens, and of one that is no retrieval head.
  static size_t planned_bytes_retrieval(const HeadShape& shape);
  static size_t planned_bytes_local(const HeadShape& shape);

 private:
  at::Tensor attend_local(const LayerTokens& tokens);
  at::Tensor first_read(const at::Tensor& query) const;
  int64_t first_read(int64_t query) const;
  void drop_before(int64_t position);

  HeadShape shape_;
  Size size_;
  at::Tensor retrieval_, local_;  // KV heads of either kind, Long
  GrowingRows keys_, values_;     // of the retrieval heads
  // Of the others [n_local, n, D]: sinks, and the tokens from `first_recent_` on.
  at::Tensor sink_keys_, sink_values_, recent_keys_, recent_values_;
  at::Tensor dropped_keys_, dropped_values_;  // sums [n_local, 1, D] fp32
  int64_t first_recent_, position_ = 0;
};

}  // namespace dsrasq::policy
