#pragma once

// An indexer's scores of many queries and keys with their gradients, one head at a time: matrices
// of one head are all that is held, and none of them for the backward pass.

#include <ATen/core/Tensor.h>

namespace dsrasq::train {

/// z = sum over heads of w_h ReLU(q_h . c) `[R, N]`, differentiable in all three: `query` `[n_h, R,
/// d_i]`, `key` `[N, d_i]`, `weight` `[R, n_h]`. Without gradients there may be a batch before R
/// and N: `[n_h, B, R, d_i]`, `[B, N, d_i]` and `[B, R, n_h]` to `[B, R, N]`.
at::Tensor index_scores(const at::Tensor& query, const at::Tensor& key, const at::Tensor& weight);

/// In the shapes of what they are gradients for.
struct IndexScoreGradients {
  at::Tensor query, key, weight;
};
/// From d loss / d z `[R, N]`.
IndexScoreGradients index_score_gradients(const at::Tensor& query, const at::Tensor& key,
                                          const at::Tensor& weight, const at::Tensor& d_scores);

}  // namespace dsrasq::train
