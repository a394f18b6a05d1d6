#pragma once

// How many of the best tokens a query reads (design 4): all k, those whose share of the attention
// is above a threshold, or as many as the layer's budget head says.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "dsrasq/policy/factory.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/retriever/budget_head.h"

namespace dsrasq::policy {

enum class SizeRule { kTopK, kThreshold, kBudget };

/// What `options.retrieve` and `options.min_share` say; "auto" is the best that the adapter was
/// trained for: its budget heads, else its thresholds, else k. Throws kInvalidArgument where it has
/// no heads or thresholds and is asked for them.
SizeRule size_rule(const PolicyOptions& options, const retriever::Adapter& adapter);
/// tau of a layer, the log of the least share; the adapter's, or that of `--min-share`.
float log_threshold(const PolicyOptions& options, const retriever::Adapter& adapter, int64_t layer);

/// The k best tokens of a query, ordered by position, as an index scan gives them.
struct RankedTokens {
  std::span<int32_t> slots;
  std::span<const float> scores;  ///< z of each
  float log_mass = 0;             ///< log of the sum of exp z over all that the query sees
  float local = 0;                ///< nu
};

/// The rule of every layer, on the CPU.
class SetSizes {
 public:
  SetSizes(const PolicyOptions& options, const retriever::Adapter& adapter);

  /// Whether anything is ever left out.
  bool leaves_out() const { return rule_ != SizeRule::kTopK; }
  /// Moves the slots that query `x` `[E]` of the layer reads to the front, their order kept, and
  /// returns how many they are. Of equal scores the lower position stays.
  int32_t keep(int64_t layer, const float* x, const RankedTokens& tokens) const;

 private:
  int32_t keep_above(const RankedTokens& tokens, float least) const;
  int32_t keep_best(const RankedTokens& tokens, std::span<float> scratch, int64_t n) const;

  SizeRule rule_;
  std::map<int64_t, float> thresholds_;
  std::map<int64_t, retriever::BudgetHead> heads_;
};

}  // namespace dsrasq::policy
