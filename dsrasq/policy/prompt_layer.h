#pragma once

// Everything until the end of the prompt; then what its last queries attend to: SnapKV (Li et al.
// 2024, arXiv 2404.14469) and PyramidKV (Cai et al. 2024, arXiv 2406.02069), which differ in how
// many tokens a layer keeps.

#include <vector>

#include "dsrasq/policy/growing_rows.h"
#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

/// How much of a prompt a layer keeps: its last `observed` tokens and of those before them what
/// `kept_before` says.
struct PromptBudget {
  int64_t cache = 0;     ///< mean over the layers, `observed` included
  int64_t observed = 0;  ///< w
  bool is_pyramid = false;
  int64_t layer = 0, n_layers = 1;  ///< among those without a sliding window

  /// Tokens kept before the last w of a prompt that is longer than `cache`. SnapKV: cache - w.
  /// PyramidKV: falls from the lowest layer to the highest in equal steps around that.
  int64_t kept_before(int64_t n_prompt) const;
};

/// Where the prompt is longer than `cache`, each KV head keeps the tokens with the most attention
/// of the last w queries (sum over queries, mean over the group's heads, largest of 7 neighbours),
/// and the last w. What is read afterwards is kept.
class PromptLayer final : public LayerMemory {
 public:
  PromptLayer(const HeadShape& shape, const PromptBudget& budget);

  at::Tensor attend(const LayerTokens& tokens) override;
  void prompt_ended() override;
  size_t bytes() const override;
  std::vector<std::vector<int64_t>> held() const override;

  /// Growth by 1,024 tokens.
  static size_t planned_bytes(const HeadShape& shape);

 private:
  at::Tensor chosen(int64_t n_before) const;

  HeadShape shape_;
  PromptBudget budget_;
  GrowingRows keys_, values_, positions_;  // positions [Hkv, N, 1]
  at::Tensor queries_;                     // [H, w, D] the last, until the prompt ends
  bool prompt_ended_ = false;
};

}  // namespace dsrasq::policy
