#pragma once

// Rows per head that grow with the text, for the methods whose memory does.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dsrasq::policy {

/// Tokens for which baselines make room at a time.
inline constexpr int64_t kGrowthStep = 128;
/// Tokens by which planned bytes count growth.
inline constexpr size_t kPlannedGrowth = 1024;

class GrowingRows {
 public:
  /// Of `n_heads` heads and `width` values. Room is made for `step` rows at a time, so that what is
  /// reserved is less than that above what is held.
  GrowingRows(int64_t n_heads, int64_t width, int64_t step, at::TensorOptions options);

  /// Adds `[heads, T, width]`.
  void append(const at::Tensor& rows);
  /// Holds `[heads, N, width]` instead, with no more room than they need.
  void assign(const at::Tensor& rows);
  /// All of them `[heads, N, width]`: a view.
  at::Tensor rows() const { return rows_.narrow(1, 0, n_); }
  int64_t size() const { return n_; }
  size_t bytes() const { return rows_.nbytes(); }

 private:
  int64_t step_;
  at::Tensor rows_;
  int64_t n_ = 0;
};

}  // namespace dsrasq::policy
