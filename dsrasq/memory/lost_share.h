#pragma once

// How much of the past the slots alone remember, which is how loud they are.

#include <algorithm>
#include <cstdint>

namespace dsrasq::memory {

/// When tokens leave the window and then the pool, in tokens (design 3).
struct LeavingRule {
  int64_t window = 0, sinks = 0, pool = 0, block = 0;
};

/// Of the tokens that had left the window at the last multiple of the block, the share that a full
/// pool no longer holds: 0 while nothing is lost, towards 1 in a long text. A function of the
/// position alone, so that it does not depend on how a text is cut into calls; what a retention
/// keeps does not matter, only how much.
constexpr double lost_share(const LeavingRule& rule, int64_t position) {
  const int64_t left = position / rule.block * rule.block - rule.window - rule.sinks;
  if (left <= rule.pool) return 0;
  return static_cast<double>(left - std::max<int64_t>(0, rule.pool)) / static_cast<double>(left);
}

}  // namespace dsrasq::memory
