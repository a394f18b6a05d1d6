#pragma once

// The attention that training improves (design 4.1): sinks, window and the tokens that the
// retriever picks, exactly as at inference, with gradients for all that takes part in it. The
// picked tokens' logits carry the straight-through term, so that the task's loss reaches the
// retriever.

#include <ATen/core/Tensor.h>

#include "dsrasq/train/dense_attention.h"
#include "dsrasq/train/student_index.h"

namespace dsrasq::train {

struct StudentRead {
  at::Tensor out;       ///< `[T, H, D]`
  at::Tensor expected;  ///< sum over rows of E|S| = sum sigmoid(u), scalar; undefined if not asked
  at::Tensor picked;    ///< sum over rows of |S|, scalar
};

/// Attends in chunks of rows, each computed again for its gradients: no matrix of logits is kept.
/// `index` may be null: then nothing is retrieved. Ties of scores go to the lower position.
StudentRead attend_sparsely(const DenseAttention& attention, const StudentIndex* index,
                            const StudentRules& rules);

}  // namespace dsrasq::train
