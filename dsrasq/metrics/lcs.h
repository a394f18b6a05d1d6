#pragma once

// Longest common subsequences of token sequences.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dsrasq::metrics {

/// How long the longest common subsequence is. Memory grows with `b` alone.
int64_t lcs_length(std::span<const int32_t> a, std::span<const int32_t> b);

/// Which one of several longest common subsequences is read off the table, from its end, where
/// leaving out the last token of either sequence loses nothing.
enum class LcsTie {
  kDropFirst,   ///< leaves out the one of `a`
  kDropSecond,  ///< leaves out the one of `b`
};

/// Places in `a`, ascending, of one longest common subsequence. Throws kResourceExhausted naming
/// both lengths when their product is beyond what a table may hold (2^31).
std::vector<size_t> lcs_places(std::span<const int32_t> a, std::span<const int32_t> b, LcsTie tie);

}  // namespace dsrasq::metrics
