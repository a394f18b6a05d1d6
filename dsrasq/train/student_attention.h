#pragma once

// The attention that training improves (design 4.1): sinks, window and the tokens that the
// retriever picks, exactly as at inference, with gradients for all that takes part in it. The
// picked tokens' logits carry the straight-through term, so that the task's loss reaches the
// retriever.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <tuple>

#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/dense_attention.h"

namespace dsrasq::train {

/// What an indexer makes of a layer's input, for T tokens.
struct StudentIndex {
  at::Tensor query;      ///< `[n_h, T, d_i]`
  at::Tensor key;        ///< `[T, d_i]`
  at::Tensor weight;     ///< `[T, n_h]`
  at::Tensor local;      ///< nu `[T, 1]`
  at::Tensor threshold;  ///< tau `[1]`

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

struct StudentRules {
  int64_t window = 512;
  int64_t sinks = 4;
  int64_t top_k = 64;
  bool thresholded = false;      ///< only tokens with log p > tau are picked
  bool counts_expected = false;  ///< E|S| is wanted, and its gradient
  int64_t chunk_elements = 0;    ///< of a matrix of logits at once; 0: by device
  Pick pick;                     ///< instead of the best top_k; called without gradients
};

/// What does not depend on a layer's values: which tokens the rows of a chunk see.
class StudentMasks {
 public:
  struct Rows {
    at::Tensor bias;    ///< `[R, end]`: 0 for sinks and window, else -1e30
    at::Tensor unseen;  ///< `[R, N]` bool: pool columns of positions sinks, sinks + 1, ...
  };
  /// Of rows begin to end - 1, in the type and on the device of `like`.
  const Rows& get(int64_t begin, int64_t end, int64_t sinks, int64_t window,
                  const at::Tensor& like);

 private:
  std::map<std::tuple<int64_t, int64_t, int64_t, int64_t>, Rows> rows_;
};

struct StudentRead {
  at::Tensor out;       ///< `[T, H, D]`
  at::Tensor expected;  ///< sum over rows of E|S| = sum sigmoid(u), scalar; undefined if not asked
  at::Tensor picked;    ///< sum over rows of |S|, scalar
};

/// Attends in chunks of rows, each computed again for its gradients: no matrix of logits is kept.
/// `index` may be null: then nothing is retrieved. Ties of scores go to the lower position.
/// `masks` must outlive the backward pass.
StudentRead attend_sparsely(const DenseAttention& attention, const StudentIndex* index,
                            const StudentRules& rules, StudentMasks& masks);

}  // namespace dsrasq::train
