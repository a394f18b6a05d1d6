#pragma once

// Full causal attention as the teacher needs it: with distances clamped at d_max (design 3.1), a
// sliding window or a soft cap on request, and the share of it that falls on far tokens.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "dsrasq/ops/rope.h"
#include "dsrasq/policy/policy.h"
#include "dsrasq/train/indexer_loss.h"

namespace dsrasq::train {

/// Angles, computed once for each kind of layer and length. Not thread-safe.
class AngleCache {
 public:
  explicit AngleCache(at::Device device) : device_(device) {}
  /// Of positions first, first + step, ... `[n, D/2]`.
  const ops::Rope::Angles& get(const ops::Rope& rope, int64_t first, int64_t n, int64_t step);

 private:
  at::Device device_;
  std::map<std::tuple<std::vector<double>, int64_t, int64_t, int64_t>, ops::Rope::Angles> angles_;
};

/// What one layer's attention works on, and its rules.
struct DenseAttention {
  at::Tensor q, k, v;         ///< `[T, H, D]`, `[T, Hkv, D]`, `[T, Hkv, D]`; q and k after RoPE
  at::Tensor q_far, k_plain;  ///< q turned by d_max, k before RoPE: for distances >= d_max
  double scale = 1;
  double softcap = 0;          ///< 0: none
  int64_t sliding_window = 0;  ///< 0: none
  int64_t d_max = 0;           ///< 0: distances are not clamped

  /// Of a layer's input at positions 0 to T - 1; `d_max` 0 leaves `q_far` undefined.
  static DenseAttention of(const policy::LayerInput& input, const policy::AttentionShape& shape,
                           int64_t d_max, AngleCache& angles);
};

/// `[B, T, Hkv, D]` to `[B, H, T, D]`, every head as often as there are query heads for it.
at::Tensor heads_first(const at::Tensor& x, int64_t n_heads);
/// `[R, H, D]` and `[N, Hkv, D]` to the dot products `[H, R, N]`.
at::Tensor grouped_product(const at::Tensor& q, const at::Tensor& k);
/// Weights `[H, R, N]` times values `[N, Hkv, D]`: `[R, H, D]`.
at::Tensor weighted_values(const at::Tensor& weights, const at::Tensor& v);

/// What every query reads `[T, H, D]`, in chunks of rows: no [T, T] matrix is ever held. With
/// `clamped` false distances are not clamped, which is what the model was trained with.
at::Tensor attend_densely(const DenseAttention& attention, bool clamped);

/// Query rows of a stretch.
struct SampledRows {
  at::Tensor positions;  ///< `[R]` Long, on the model's device
  int64_t last = 0;      ///< the largest, known here so that nobody waits for the device
};

/// The (clamped) fp32 logits of the rows with tokens 0 to `rows.last` `[H, R, last + 1]`, -infinity
/// where a row does not see the token.
at::Tensor row_logits(const DenseAttention& attention, const SampledRows& rows);

/// The mean over heads of the (clamped) attention of the rows to the tokens that are neither sinks
/// nor in the window of each.
AttentionTarget far_attention(const DenseAttention& attention, const SampledRows& rows,
                              int64_t sinks, int64_t window);

}  // namespace dsrasq::train
