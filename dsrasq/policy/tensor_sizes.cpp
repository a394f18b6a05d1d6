#include "dsrasq/policy/tensor_sizes.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "dsrasq/core/error.h"

namespace dsrasq::policy {

TensorSizes::TensorSizes(const PolicyOptions& options, const retriever::Adapter& adapter,
                         int64_t layer, at::Device device)
    : rule_(size_rule(options, adapter)) {
  if (rule_ == SizeRule::kThreshold) log_threshold_ = log_threshold(options, adapter, layer);
  if (rule_ != SizeRule::kBudget) return;
  const auto found = adapter.budgets.find(layer);
  DSRASQ_CHECK(found != adapter.budgets.end(), kBadInput, "policy.tensor_sizes",
               "the adapter has no budget head for layer ", layer);
  budget_ = found->second;
  budget_.visit([&](const char*, at::Tensor& tensor) { tensor = tensor.to(device); });
  const auto& sizes = retriever::kBudgetSizes;
  sizes_ = at::tensor(std::vector<int64_t>(sizes.begin(), sizes.end()), at::kLong).to(device);
}

at::Tensor TensorSizes::kept(const at::Tensor& x, const at::Tensor& best,
                             const at::Tensor& log_mass, const at::Tensor& local) const {
  const at::Tensor all = at::logaddexp(log_mass, local);
  if (rule_ == SizeRule::kTopK) return at::ones_like(best, best.options().dtype(at::kBool));
  if (rule_ == SizeRule::kThreshold) return best - all > log_threshold_;
  const at::Tensor features = retriever::budget_features(
      (best - all).narrow(1, 0, std::min(best.size(1), retriever::kBudgetSizes.back())),
      local - all);
  const at::Tensor choice = retriever::budget_logits(budget_, x, features).argmax(1);
  return at::arange(best.size(1), choice.options()).unsqueeze(0) <
         sizes_.index_select(0, choice).unsqueeze(1);
}

}  // namespace dsrasq::policy
