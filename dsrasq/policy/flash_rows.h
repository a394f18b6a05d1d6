#pragma once

// The latest tokens' rotated keys and values of one layer on a GPU, read by LibTorch's flash
// attention (Dao 2023): a causal band, or everything that was ever read.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dsrasq::policy {

class FlashRows {
 public:
  /// For a band of `window` tokens the room for calls of up to `longest_call` is reserved at once;
  /// a window of 0 keeps all tokens, in room that doubles. `options` name the device; rows are
  /// bf16.
  FlashRows(int64_t n_kv_heads, int64_t head_dim, int64_t window, int64_t longest_call,
            at::TensorOptions options);

  /// Makes room for T tokens behind those that were read.
  void open(int64_t n_tokens);
  /// The rows of those T tokens `[T, Hkv, D]`, to be written.
  at::Tensor new_keys() const { return k_.narrow(0, end_ - n_new_, n_new_); }
  at::Tensor new_values() const { return v_.narrow(0, end_ - n_new_, n_new_); }

  struct Read {
    at::Tensor out;   ///< `[T, H, D]` bf16
    at::Tensor mass;  ///< `[H, T]` fp32, log of the sum of exp of the scaled logits
  };
  /// What rotated queries `[T, H, D]` of the new tokens read.
  Read attend(const at::Tensor& q, double scale) const;

  size_t bytes() const { return k_.nbytes() + v_.nbytes(); }

 private:
  void move_to(int64_t capacity, int64_t n_kept);

  int64_t window_;
  at::Tensor k_, v_;             // [capacity, Hkv, D]
  int64_t end_ = 0, n_new_ = 0;  // rows in use; of them those of the call
};

}  // namespace dsrasq::policy
