#pragma once

// How many tokens a query is given (design 4.1, step 2): the budget head of its layer, as tensor
// operations for training and for a GPU, and as plain loops for the CPU.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dsrasq/retriever/adapter_budget.h"

namespace dsrasq::retriever {

/// `[R, kBudgetFeatures]`: log shares of what stays local and of the best 1, 2, ... candidates.
/// `best` `[R, min(256, N)]` is log p of the best candidates, the first the best, `local` `[R, 1]`
/// that of the local item. Without gradients.
at::Tensor budget_features(const at::Tensor& best, const at::Tensor& local);
/// Of a layer's input `x` `[R, E]`, whatever its scale: a logit for each size `[R, n_sizes]`,
/// differentiable in the head.
at::Tensor budget_logits(const BudgetParameters& head, const at::Tensor& x,
                         const at::Tensor& features);

/// The same for one query on the CPU, without tensors. It takes the size with the highest logit, of
/// equal ones the smallest.
class BudgetHead {
 public:
  explicit BudgetHead(const BudgetParameters& parameters);

  /// `x` is the layer's input `[E]`; `best` holds log p of the best candidates in any order, at
  /// most 256, and is put in another order; `local` is that of the local item.
  int64_t size(const float* x, std::span<float> best, float local) const;

 private:
  std::array<float, kBudgetFeatures> features(std::span<float> best, float local) const;

  size_t n_embd_;
  std::vector<float> weight_, bias_;  // [n_sizes, E + kBudgetFeatures], [n_sizes]
};

}  // namespace dsrasq::retriever
