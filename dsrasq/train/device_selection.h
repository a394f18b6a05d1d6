#pragma once

// The best tokens of many rows by the GPU's own scan, which writes no scores: what greedy_pick
// finds in a matrix of them.

#include <ATen/core/Tensor.h>

#include <optional>

#include "dsrasq/train/student_index.h"

namespace dsrasq::train {

struct BestTokens {
  at::Tensor columns;   ///< `[R, K]` Int, ascending; N where a row picked fewer than K
  at::Tensor scores;    ///< z of them `[R, K]`, -1e30 where there is none
  at::Tensor log_mass;  ///< log sum exp z of all that a row sees `[R, 1]`
  at::Tensor count;     ///< `[R]` Int
};

/// Nothing where it has to be done the plain way: on the CPU, in a program without kernels, for an
/// index that is not rounded, and for sizes that the kernels do not know. Scores are those of the
/// int8 codes, of which the plain way's differ by rounding.
std::optional<BestTokens> best_on_device(const StudentIndex& index, const PoolRows& rows,
                                         int64_t top_k);

}  // namespace dsrasq::train
