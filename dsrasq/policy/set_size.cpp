#include "dsrasq/policy/set_size.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "dsrasq/core/error.h"

namespace dsrasq::policy {
namespace {

constexpr const char* kInSetSize = "policy.set_size";

float log_add_exp(float a, float b) {
  const float most = std::max(a, b), least = std::min(a, b);
  return most + std::log1p(std::exp(least - most));
}

}  // namespace

SizeRule size_rule(const PolicyOptions& options, const retriever::Adapter& adapter) {
  const bool has_heads = !adapter.budgets.empty(), has_thresholds = !adapter.thresholds.empty();
  if (options.retrieve == "topk") return SizeRule::kTopK;
  if (options.min_share > 0) return SizeRule::kThreshold;
  if (options.retrieve == "auto") {
    if (has_heads) return SizeRule::kBudget;
    return has_thresholds ? SizeRule::kThreshold : SizeRule::kTopK;
  }
  const bool wants_heads = options.retrieve == "budget";
  DSRASQ_CHECK(wants_heads ? has_heads : has_thresholds, kInvalidArgument, kInSetSize,
               "--retrieve ", options.retrieve, ": the adapter has no trained ",
               wants_heads ? "budget heads" : "thresholds; --min-share sets one for all layers");
  return wants_heads ? SizeRule::kBudget : SizeRule::kThreshold;
}

float log_threshold(const PolicyOptions& options, const retriever::Adapter& adapter,
                    int64_t layer) {
  if (options.min_share > 0) return static_cast<float>(std::log(options.min_share));
  const auto found = adapter.thresholds.find(layer);
  DSRASQ_CHECK(found != adapter.thresholds.end(), kBadInput, kInSetSize,
               "the adapter has no threshold for layer ", layer);
  return found->second;
}

SetSizes::SetSizes(const PolicyOptions& options, const retriever::Adapter& adapter)
    : rule_(size_rule(options, adapter)) {
  for (const auto& [layer, indexer] : adapter.indexers) {
    if (rule_ == SizeRule::kThreshold) thresholds_[layer] = log_threshold(options, adapter, layer);
    if (rule_ != SizeRule::kBudget) continue;
    const auto found = adapter.budgets.find(layer);
    DSRASQ_CHECK(found != adapter.budgets.end(), kBadInput, kInSetSize,
                 "the adapter has no budget head for layer ", layer);
    heads_.emplace(layer, found->second);
  }
}

int32_t SetSizes::keep(int64_t layer, const float* x, const RankedTokens& tokens) const {
  const float all = log_add_exp(tokens.log_mass, tokens.local);
  if (rule_ == SizeRule::kThreshold) return keep_above(tokens, all + thresholds_.at(layer));
  thread_local std::vector<float> scratch;
  scratch.assign(tokens.scores.begin(), tokens.scores.end());
  for (float& score : scratch) score -= all;
  const int64_t n = heads_.at(layer).size(x, scratch, tokens.local - all);
  return keep_best(tokens, scratch, n);
}

int32_t SetSizes::keep_above(const RankedTokens& tokens, float least) const {
  size_t n = 0;
  for (size_t i = 0; i < tokens.slots.size(); ++i)
    if (tokens.scores[i] > least) tokens.slots[n++] = tokens.slots[i];
  return static_cast<int32_t>(n);
}

int32_t SetSizes::keep_best(const RankedTokens& tokens, std::span<float> scratch,
                            int64_t wanted) const {
  const auto n = static_cast<size_t>(wanted);
  if (n >= tokens.slots.size()) return static_cast<int32_t>(tokens.slots.size());
  if (n == 0) return 0;
  std::copy(tokens.scores.begin(), tokens.scores.end(), scratch.begin());
  const auto last = scratch.begin() + static_cast<std::ptrdiff_t>(n) - 1;
  std::nth_element(scratch.begin(), last, scratch.end(), std::greater<>());
  const float least = *last;
  auto room = n - static_cast<size_t>(std::count_if(tokens.scores.begin(), tokens.scores.end(),
                                                    [&](float z) { return z > least; }));
  size_t kept = 0;
  for (size_t i = 0; i < tokens.slots.size(); ++i) {
    const float z = tokens.scores[i];
    if (z > least || (z == least && room > 0)) {
      room -= z == least ? 1 : 0;
      tokens.slots[kept++] = tokens.slots[i];
    }
  }
  return static_cast<int32_t>(kept);
}

}  // namespace dsrasq::policy
