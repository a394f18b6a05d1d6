#pragma once

// An indexer ready for the CPU: from a layer's input to int8 index queries and fp32 index keys.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/ops/linear.h"
#include "dsrasq/retriever/adapter.h"

namespace dsrasq::retriever {

/// What an indexer makes of T tokens (design 4).
struct IndexRows {
  int64_t n_tokens = 0;
  std::vector<int8_t> query_codes;  ///< `[T, n_h, d_i]`, in -63 .. 63
  std::vector<float> query_scales;  ///< `[T, n_h]`
  std::vector<float> head_weights;  ///< `[T, n_h]`
  std::vector<float> keys;          ///< c_j `[T, d_i]`, normalised
  std::vector<float> local;         ///< nu `[T]`: log of the mass that stays local
};

class Indexer {
 public:
  Indexer(const IndexerParameters& parameters, int64_t n_heads, int64_t head_dim);

  /// `x` is the layer's normalised input `[T, E]`, fp32 on the CPU.
  IndexRows project(const at::Tensor& x) const;

  int64_t n_heads() const { return n_heads_; }
  int64_t head_dim() const { return head_dim_; }

 private:
  int64_t n_heads_, head_dim_;
  ops::Linear projection_;  // query heads, key, head weights and nu as one matrix
  at::Tensor norm_weight_, norm_bias_;
};

}  // namespace dsrasq::retriever
