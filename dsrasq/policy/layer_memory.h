#pragma once

// What one layer keeps under a baseline, and how its queries read it. LayeredPolicy puts the layers
// of a model together; every published method is one of these.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/policy/policy.h"

namespace dsrasq::policy {

/// Sizes of a layer's attention and the type of its keys and values.
struct HeadShape {
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  double scale = 1;    ///< of the logits
  double softcap = 0;  ///< of the logits; 0: none
  at::TensorOptions rows;

  /// Keys and values in fp32 on the CPU, in bf16 elsewhere: as the model computes.
  static HeadShape of(const AttentionShape& shape, int64_t layer, at::Device device);
  /// Of one token's keys and values in all KV heads, in fp32.
  size_t token_bytes() const { return static_cast<size_t>(2 * n_kv_heads * head_dim) * 4; }
};

/// Consecutive tokens of one layer.
struct LayerTokens {
  int64_t first = 0;          ///< position of the first
  at::Tensor q;               ///< `[H, T, D]` after RoPE
  at::Tensor k;               ///< `[Hkv, T, D]` after RoPE
  at::Tensor v;               ///< `[Hkv, T, D]`
  at::Tensor q_without_rope;  ///< `[T, H, D]`
  at::Tensor k_without_rope;  ///< `[T, Hkv, D]`
};

class LayerMemory {
 public:
  virtual ~LayerMemory() = default;
  /// Adds the tokens and returns what their queries read: `[H, T, D]`. What a query reads depends
  /// on its position and the tokens before it, never on how they were cut into calls.
  virtual at::Tensor attend(const LayerTokens& tokens) = 0;
  virtual void prompt_ended() {}
  virtual size_t bytes() const = 0;
  /// Positions of the tokens held, ascending, per KV head.
  virtual std::vector<std::vector<int64_t>> held() const = 0;
};

/// Logits of `q` `[H, T, D]` over the keys `[Hkv, N, D]` of their groups: fp32 `[H, T, N]`.
at::Tensor grouped_logits(const at::Tensor& q, const at::Tensor& keys, const HeadShape& shape);
/// Plain dot products of the same, without scale and cap.
at::Tensor grouped_products(const at::Tensor& q, const at::Tensor& keys);
/// Softmax of logits `[H, T, N]` over the columns that are visible (`[T, N]` or `[H, T, N]`).
at::Tensor visible_softmax(const at::Tensor& logits, const at::Tensor& visible);
/// Weights `[H, T, N]` times the values `[Hkv, N, D]` of their groups: `[H, T, D]`.
at::Tensor grouped_values(const at::Tensor& weights, const at::Tensor& values);
/// `[H, ...]` to `[Hkv, ...]`: the mean over the query heads of each group.
at::Tensor group_mean(const at::Tensor& per_head, int64_t n_kv_heads);
/// first, first + 1, ... `[n]`.
at::Tensor positions_from(int64_t first, int64_t n, at::Device device);
/// Which of `n_keys` keys in the order of reading, the last of them its own, each of the last
/// `n_queries` sees: `[n_queries, n_keys]`.
at::Tensor causal(int64_t n_queries, int64_t n_keys, at::Device device);
/// The same positions in each KV head.
std::vector<std::vector<int64_t>> held_by_all(int64_t n_kv_heads,
                                              const std::vector<int64_t>& positions);

}  // namespace dsrasq::policy
