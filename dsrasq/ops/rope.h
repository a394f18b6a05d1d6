#pragma once

// Rotary position embedding (RoFormer, section 3.4.2) in the half-split form of Llama.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace dsrasq::ops {

/// Angles per position for one kind of layer. Angles are computed in double, so that a position of
/// 10^9 is as exact as the first.
class Rope {
 public:
  Rope() = default;
  /// Radians a token `[D/2]`, context extensions included; `attention_factor` is what an extension
  /// multiplies cos and sin by (YaRN), here moved to the logits.
  explicit Rope(std::vector<double> inv_freq, double attention_factor = 1)
      : inv_freq_(std::move(inv_freq)), logit_factor_(attention_factor * attention_factor) {}

  /// Multiplies attention logits.
  double logit_factor() const { return logit_factor_; }
  const std::vector<double>& inv_freq() const { return inv_freq_; }

  struct Angles {
    at::Tensor cos, sin;  ///< `[T, D/2]` fp32
  };
  /// For positions first, first + step, ...
  Angles angles(int64_t first, int64_t n, at::Device device, int64_t step = 1) const;

 private:
  std::vector<double> inv_freq_;
  double logit_factor_ = 1;
};

/// Rotates `x` `[T, H, D]`: (x1 cos - x2 sin, x2 cos + x1 sin) with x1, x2 the halves of the last
/// dimension. A new tensor of the same dtype.
at::Tensor rotate(const at::Tensor& x, const Rope::Angles& angles);

}  // namespace dsrasq::ops
