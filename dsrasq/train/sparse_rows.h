#pragma once

// Attention of consecutive query rows to what each of them reads: the sinks, its window and its
// picks of the pool, in one softmax. The window is a band of blocks; picks are gathered, or masked
// among all columns where that moves less memory.

#include <ATen/core/Tensor.h>

#include <vector>

#include "dsrasq/train/student_index.h"

namespace dsrasq::train {

/// What R rows read.
struct SparseRowsInput {
  at::Tensor q;          ///< `[R, H, D]`
  at::Tensor k, v;       ///< `[end, Hkv, D]`, of all tokens up to the last row
  at::Tensor q_far;      ///< `[R, H, D]`, for keys that are d_max away or more; undefined: none are
  at::Tensor k_plain;    ///< `[end, Hkv, D]`, keys for those; undefined like `q_far`
  at::Tensor log_ratio;  ///< u of the picks `[R, K]`; undefined: nothing learns by them

  std::vector<at::Tensor> list() const { return {q, k, v, q_far, k_plain, log_ratio}; }
  static SparseRowsInput of(const std::vector<at::Tensor>& t) {
    return {t[0], t[1], t[2], t[3], t[4], t[5]};
  }
};

/// What is no tensor with a gradient.
struct SparseRowsRules {
  PoolRows rows;
  double scale = 1, softcap = 0;
  int64_t d_max = 0;
  at::Tensor columns;  ///< the picks `[R, K]` as in `Selection`; undefined: there is no pool
};

/// `[R, H, D]`. Picked tokens' logits get log sigmoid(u) less its value: nothing going forward, and
/// the straight-through gradient going back.
at::Tensor attend_rows(const SparseRowsInput& input, const SparseRowsRules& rules);

/// Whether `n_picks` of `n_columns` are gathered for every row: when it moves fewer values than the
/// logits of all columns.
bool gathers(int64_t n_picks, int64_t n_columns, int64_t n_heads, int64_t kv_width);

}  // namespace dsrasq::train
