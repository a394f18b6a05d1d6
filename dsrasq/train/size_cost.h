#pragma once

// What it costs that a layer reads only its best n far tokens, for every n at once and without
// reading again. With labels y drawn from the full-attention model p and g the gradient of
// sum_t log p(y_t) for what the layer read at a position, a change D of that output changes the
// predictions by
//   sum_t KL(p_t || p_t after D) = 1/2 E_y[(g . D)^2] + higher orders,
// so the costs of all sets of a position follow from one backward pass (the Fisher information).

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/model/transformer.h"
#include "dsrasq/train/dense_attention.h"

namespace dsrasq::train {

/// Of final states `[T, E]`: labels drawn from what they predict, and what follows from them.
struct LabelGradient {
  at::Tensor states;  ///< gradient of the labels' summed log-probability for the states `[T, E]`
  at::Tensor nll;     ///< of the text, mean; scalar
};
/// `ids` `[T]` on the device. Logits are made for some positions at a time.
LabelGradient label_gradient(const model::Transformer& model, const at::Tensor& states,
                             const at::Tensor& ids, at::Generator& generator);

/// The far tokens of R query rows, ranked.
struct RankedRows {
  SampledRows rows;
  at::Tensor best;  ///< `[R, M]` Long: positions of the best, the first the best
  at::Tensor seen;  ///< `[R, M]` bool: whether the row sees them
  int64_t sinks = 0, window = 0;
};

/// Predicted KL, summed over this and all later tokens, when the row's layer reads sinks, window
/// and its best n: `[Y, R, M + 1]` for n = 0 ... M and each of Y sets of labels, whose mean
/// estimates it. `gradients`: for each of them that of the layer's output `[T, H, D]`.
at::Tensor size_costs(const DenseAttention& attention, const std::vector<at::Tensor>& gradients,
                      const RankedRows& ranked);

}  // namespace dsrasq::train
