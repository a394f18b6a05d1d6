#pragma once

// A compressive memory of fixed size beside attention within segments: Infini-attention (Munkhdalai
// et al. 2024, arXiv 2404.07143, section 2.1), with or without its delta rule.

#include <vector>

#include "dsrasq/policy/layer_memory.h"

namespace dsrasq::policy {

/// A query reads the tokens of its own segment up to itself, and by linear attention what the
/// segments before left in a matrix M and a vector z for each KV head. With s(x) = elu(x) + 1 and
/// queries and keys before RoPE:
///
///     read   s(q) M / (s(q) z)
///     write  M += s(k)^T v,  z += s(k)      of a whole segment, when it has ended
///     delta  M += s(k)^T (v - s(k) M / (s(k) z))
///     out    gate * read + (1 - gate) * attention within the segment
///
/// In the first segment nothing was written yet: its queries read the segment alone, without gate.
class InfiniLayer final : public LayerMemory {
 public:
  /// `gate` `[H]`: the memory's share of what a query head reads, sigmoid(beta) in the paper, which
  /// trains it. Segments have `segment` tokens.
  InfiniLayer(const HeadShape& shape, int64_t segment, bool is_delta, const at::Tensor& gate);

  at::Tensor attend(const LayerTokens& tokens) override;
  size_t bytes() const override;
  /// Those of the segment that has begun.
  std::vector<std::vector<int64_t>> held() const override;

  static size_t planned_bytes(const HeadShape& shape, int64_t segment);

 private:
  at::Tensor read(const LayerTokens& tokens, int64_t begin, int64_t n);
  at::Tensor read_memory(const at::Tensor& q_without_rope) const;
  void write(const at::Tensor& k_without_rope, const at::Tensor& v);

  HeadShape shape_;
  int64_t segment_;
  bool is_delta_;
  at::Tensor gate_;           // [H, 1, 1] fp32
  at::Tensor keys_, values_;  // [Hkv, segment, D] of the segment that has begun
  at::Tensor memory_, norm_;  // M [Hkv, D, D], z [Hkv, 1, D]: fp32, of the segments before
  at::Tensor next_memory_, next_norm_;  // the same with the tokens of the segment that has begun
  int64_t position_ = 0, n_held_ = 0;
};

}  // namespace dsrasq::policy
