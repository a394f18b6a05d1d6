#pragma once

// What a query can choose among and how it chooses, in the joint training: an indexer's scores of
// the pool, the tokens picked by them, and the gradient that reaches the indexer through the picks.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <functional>

#include "dsrasq/retriever/adapter.h"

namespace dsrasq::train {

/// What an indexer makes of a layer's input, for T tokens.
struct StudentIndex {
  at::Tensor query;         ///< `[n_h, T, d_i]`
  at::Tensor key;           ///< `[T, d_i]`
  at::Tensor weight;        ///< `[T, n_h]`
  at::Tensor local;         ///< nu `[T, 1]`
  at::Tensor threshold;     ///< tau `[1]`
  bool is_rounded = false;  ///< queries and keys are int8 codes times a scale

  /// Of `x` `[T, E]`. With `fake_quantise` values are rounded as at inference; gradients pass
  /// straight through the rounding.
  static StudentIndex of(const retriever::IndexerParameters& indexer, const at::Tensor& threshold,
                         const at::Tensor& x, int64_t n_heads, bool fake_quantise);
};

/// What R query rows can choose among: N pool columns, of positions sinks, sinks + 1, ...
struct PoolScores {
  int64_t begin = 0;     ///< position of the first row, where they follow each other
  at::Tensor scores;     ///< z `[R, N]`, -1e30 where the row does not see the column
  at::Tensor local;      ///< nu `[R, 1]`
  at::Tensor threshold;  ///< tau `[1]`
  at::Tensor unseen;     ///< `[R, N]` bool
};

/// Of the rows at `positions` `[R]`, all before `end`; differentiable in the index.
PoolScores pool_scores(const StudentIndex& index, const at::Tensor& positions, int64_t end,
                       int64_t sinks, int64_t window);
/// log(exp nu + sum exp z) `[R, 1]`: what a share of the attention is relative to.
at::Tensor log_mass(const PoolScores& pool);
/// u = log p - tau `[R, N]`.
at::Tensor log_ratio(const PoolScores& pool);
/// The best `top_k` of every row, those with u > 0 alone if `thresholded`: `[R, N]` bool. Ties of
/// scores go to the lower position, here and below.
at::Tensor greedy_pick(const PoolScores& pool, int64_t top_k, bool thresholded);
/// The best `sizes` `[R]` of every row, or all that it sees. `best` `[R, M]`: its best scores, the
/// first the best, M being at least the largest size or N.
at::Tensor best_of_sizes(const PoolScores& pool, const at::Tensor& best, const at::Tensor& sizes);

/// Chooses pool columns for consecutive rows: `[R, N]` bool, none of them unseen.
using Pick = std::function<at::Tensor(const PoolScores&)>;

/// Consecutive rows and the pool that they see: between the sinks and the window the last `pool`
/// tokens.
struct PoolRows {
  int64_t begin = 0, end = 0;  ///< positions of the rows
  int64_t sinks = 0, window = 0;
  int64_t pool = 0;        ///< 0: everything
  int64_t first_live = 0;  ///< keys and values of earlier tokens get no gradient from these rows

  int64_t n_columns() const { return std::max<int64_t>(0, end - window - sinks); }
};

struct StudentRules {
  int64_t window = 512;
  int64_t sinks = 4;
  int64_t top_k = 64;
  int64_t pool = 0;              ///< tokens before the window that can be picked; 0: all
  bool thresholded = false;      ///< only tokens with log p > tau are picked
  bool counts_expected = false;  ///< E|S| is wanted, and its gradient
  Pick pick;                     ///< instead of the best top_k; called without gradients
  /// Keys, values and index keys this many tokens before a query's block of `horizon_block` tokens
  /// get no gradient from it; at least the window. 0: all get theirs.
  int64_t horizon = 0;
  int64_t horizon_block = 512;
  int64_t chunk_rows = 0;  ///< query rows at once; 0: by device
};

/// What the rows picked.
struct Selection {
  at::Tensor columns;    ///< `[R, K]` Int, ascending; N where a row picked fewer than K
  at::Tensor log_ratio;  ///< u of them, with gradients; undefined if the index gets none
  at::Tensor count;      ///< sum over rows of |S|, scalar
  at::Tensor expected;   ///< sum over rows of E|S| = sum sigmoid(u), scalar; undefined if not asked
};

/// Scores the pool once going forward and once more going back, and keeps no matrix of scores.
/// `index` is of all tokens before `rows.end` at least.
Selection select_tokens(const StudentIndex& index, const PoolRows& rows, const StudentRules& rules);

}  // namespace dsrasq::train
