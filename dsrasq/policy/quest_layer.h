#pragma once

// Everything is held, and a query reads the pages that may matter to it: Quest (Tang et al. 2024,
// arXiv 2406.10774).

#include <vector>

#include "dsrasq/policy/growing_rows.h"
#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

/// Pages of 16 tokens. A query head reads its own token's page and the best of the pages before it,
/// ranked by the largest dot product that the channelwise bounds of a page's keys allow.
class QuestLayer final : public LayerMemory {
 public:
  /// A query reads max(3, tokens / 16) pages.
  static int64_t pages_for(int64_t tokens);

  /// `n_pages_read`, the query's own included; 0: all (the first two layers of a model).
  QuestLayer(const HeadShape& shape, int64_t n_pages_read);

  at::Tensor attend(const LayerTokens& tokens) override;
  size_t bytes() const override;
  std::vector<std::vector<int64_t>> held() const override;

  /// Growth by 1,024 tokens.
  static size_t planned_bytes(const HeadShape& shape, bool has_pages);

 private:
  void bound_full_pages();
  at::Tensor page_scores(const at::Tensor& q) const;
  at::Tensor picked(const at::Tensor& q, const at::Tensor& page) const;

  HeadShape shape_;
  int64_t n_pages_read_;
  GrowingRows keys_, values_;
  GrowingRows least_, most_;  // [Hkv, full pages, D] bounds of the keys
};

}  // namespace dsrasq::policy
