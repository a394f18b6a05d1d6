#pragma once

// The rule of set_size.h as tensor operations on any device, for the policies of a GPU.

#include <ATen/core/Tensor.h>

#include "dsrasq/policy/set_size.h"

namespace dsrasq::policy {

/// Of one layer.
class TensorSizes {
 public:
  /// Throws kBadInput where the adapter lacks what the rule needs of the layer.
  TensorSizes(const PolicyOptions& options, const retriever::Adapter& adapter, int64_t layer,
              at::Device device);

  /// Whether anything is ever left out.
  bool leaves_out() const { return rule_ != SizeRule::kTopK; }
  /// Of the best scores `[T, k]`, the first the best, those that each query reads: `[T, k]` bool,
  /// true in front. `x` `[T, E]` fp32 is the layer's input, `log_mass` `[T, 1]` that of all scores
  /// that the query sees, `local` `[T, 1]` nu.
  at::Tensor kept(const at::Tensor& x, const at::Tensor& best, const at::Tensor& log_mass,
                  const at::Tensor& local) const;

 private:
  SizeRule rule_;
  float log_threshold_ = 0;
  retriever::BudgetParameters budget_;
  at::Tensor sizes_;  // retriever::kBudgetSizes
};

}  // namespace dsrasq::policy
