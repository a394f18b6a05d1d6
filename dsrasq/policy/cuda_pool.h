#pragma once

// The pool and the sinks of one layer on a GPU, of fixed size: what SparsePolicy keeps on the CPU,
// by this project's own kernels (cuda/). What leaves a full pool are its oldest pages.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "dsrasq/cuda/append_tokens.h"
#include "dsrasq/cuda/token_ring.h"
#include "dsrasq/policy/policy.h"
#include "dsrasq/policy/tensor_sizes.h"

namespace dsrasq::policy {

/// The angles of the tokens in a ring; layers with the same RoPE share them.
struct RopeRing {
  at::Tensor inv_freq;          ///< `[D/2]` fp64
  at::Tensor cos, sin;          ///< `[capacity, D/2]` fp32
  at::Tensor turns;             ///< `[capacity, D]` fp16, both side by side
  at::Tensor cos_far, sin_far;  ///< `[D/2]`, of d_max
};

/// What a call's queries are to a pool.
struct PoolQueries {
  at::Tensor x;      ///< `[T, E]` the layer's input
  at::Tensor q;      ///< `[T, H, D]` bf16, rotated
  at::Tensor q_far;  ///< `[T, H, D]` bf16, rotated by d_max
  at::Tensor out;    ///< `[T, H, D]` bf16, what the window gave
  at::Tensor mass;   ///< `[H, T]` fp32, the window's
  double scale = 0;
  int64_t first = 0;  ///< position
};

class CudaPool {
 public:
  struct Config {
    cuda::PoolRule rule;
    int64_t capacity = 0, d_max = 0, top_k = 0;  ///< of the ring; no retrieval where top_k is 0
    int64_t n_kv_heads = 0, head_dim = 0;
  };
  /// `adapter` may be null where `top_k` is 0.
  CudaPool(const Config& config, const PolicyOptions& options, const retriever::Adapter* adapter,
           int64_t layer, at::Device device);

  /// Where new tokens go, with the angles of `rope`.
  cuda::TokenRing ring(const RopeRing& rope) const;
  /// Takes what of a call's tokens `[T, Hkv, D]` are sinks: keys before and after RoPE, values.
  void take_sinks(int64_t first, const at::Tensor& k, const at::Tensor& k_rotated,
                  const at::Tensor& v);
  /// Picks tokens for the queries and joins what they give to what the window gave, in place.
  void attend(const PoolQueries& queries, const RopeRing& rope);
  /// Keys before RoPE and values of positions first, ... as the pool gives them back:
  /// `[n, Hkv, D]` fp32.
  std::pair<at::Tensor, at::Tensor> stored(int64_t first, int64_t n) const;

  /// Tokens picked so far, over all queries.
  int64_t n_picked() const;
  size_t bytes() const;

 private:
  struct Picked {
    at::Tensor rows, count;  // [T, k], [T] int32
  };
  Picked pick(const PoolQueries& queries);

  Config config_;
  at::Tensor k_, v_, k_scale_, v_scale_;  // as TokenRing
  at::Tensor index_key_, index_scale_;
  at::Tensor sink_k_, sink_k_rotated_, sink_v_;  // [n_sinks, Hkv, D] bf16
  int64_t index_heads_ = 0, index_dim_ = 0;
  at::Tensor projection_, bias_, norm_weight_, norm_bias_;
  std::optional<TensorSizes> sizes_;
  at::Tensor n_picked_;  // scalar on the device, where sizes vary
  int64_t n_counted_ = 0;
};

}  // namespace dsrasq::policy
