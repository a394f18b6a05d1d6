#pragma once

// The warm-up's loss (design 4.1, step 1): how far an indexer's estimate of a layer's attention
// mass is from the true mass, with its gradient in closed form. No autograd: the [R, N] matrices
// are written once and the whole layer costs a few passes over memory.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "dsrasq/retriever/adapter.h"

namespace dsrasq::train {

/// Codes of an indexer's queries and keys at inference (7 and 8 bits, one scale a row).
constexpr double kQueryCodeMax = 63, kKeyCodeMax = 127;
constexpr double kKeyNormEps = 1e-5;

struct LossOptions {
  int64_t n_heads = 4;            ///< n_h of the indexer
  bool fake_quantise = true;      ///< round queries and keys as inference does (straight-through)
  double conditional_weight = 0;  ///< of the KL among far tokens alone, whatever their mass
};

/// What a layer's attention did for R query rows over the N far columns (positions `first` to
/// `first` + N - 1).
struct AttentionTarget {
  at::Tensor rows;     ///< `[R]` Long, positions of the queries
  int64_t first = 0;   ///< position of column 0: the number of sinks
  int64_t window = 0;  ///< W: row i sees columns of positions <= i - W
  at::Tensor mass;     ///< `[R, N]` mean over heads, zero where the row does not see the column
};

/// Values with the rounding of inference: symmetric, one scale a row, codes in [-code_max,
/// code_max].
at::Tensor fake_quantised(const at::Tensor& x, double code_max);

/// What an indexer makes of a target, without gradients.
struct IndexerEstimate {
  at::Tensor scores;  ///< z `[R, N]`, -1e30 where the row does not see the column
  at::Tensor loss;    ///< as `indexer_loss`
};
/// `x` is the layer's normalised input `[T, E]`.
IndexerEstimate estimate_attention(const retriever::IndexerParameters& indexer, const at::Tensor& x,
                                   const AttentionTarget& target, const LossOptions& options);

/// The mean over rows of KL(mass and one local item || p) + conditional_weight * KL among far
/// tokens; a scalar on the device. Adds d loss / d parameter times `weight` to `gradient`.
at::Tensor indexer_loss(const retriever::IndexerParameters& indexer, const at::Tensor& x,
                        const AttentionTarget& target, const LossOptions& options, double weight,
                        retriever::IndexerParameters& gradient);

/// The mass that the best k columns by `scores` carry, and the most that any k could: each summed
/// over the rows `[2]`, with the sum of all far mass third `[3]`.
at::Tensor captured_mass(const at::Tensor& scores, const at::Tensor& mass, int64_t k);

}  // namespace dsrasq::train
