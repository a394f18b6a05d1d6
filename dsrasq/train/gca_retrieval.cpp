#include "dsrasq/train/gca_retrieval.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>

#include "dsrasq/ops/rows.h"

namespace dsrasq::train {

ChunkPicks pick_chunks(const at::Tensor& queries, const at::Tensor& landmarks, int64_t top_k,
                       const at::Tensor& noise) {
  constexpr double kUnseen = -std::numeric_limits<double>::infinity();
  const int64_t n = queries.size(1);
  const at::Tensor products =
      ops::at_least_float(queries).matmul(ops::at_least_float(landmarks).transpose(1, 2));
  const at::Tensor unseen =
      at::ones({n, n}, queries.options().dtype(at::kBool).requires_grad(false)).triu(1);
  const at::Tensor scores =
      (products / std::sqrt(static_cast<double>(queries.size(2)))).masked_fill(unseen, kUnseen);
  const at::Tensor ranked =
      noise.defined() ? (scores.detach() + noise).masked_fill_(unseen, kUnseen) : scores.detach();
  const at::Tensor index = std::get<1>(ranked.topk(std::min(top_k, n), 2));
  return {.index = index, .weight = scores.gather(2, index).softmax(2)};
}

RetrievedChunks::RetrievedChunks(const ChunkPicks& picks, const at::Tensor& keys,
                                 const at::Tensor& values) {
  const int64_t n = keys.size(1);
  const at::Tensor numbers = at::arange(n, picks.index.options());
  const at::Tensor weight = picks.weight.to(keys.scalar_type());
  // Products with ones and zeros: exact, and what many queries ask of one chunk is added up on the
  // way back by a product too, in one order, where a scatter would do it in any.
  const auto taken = [](const at::Tensor& chosen, const at::Tensor& all) {
    return chosen.bmm(all.flatten(2)).view(all.sizes()).flatten(0, 1);
  };
  for (int64_t rank = 0; rank < picks.index.size(2); ++rank) {
    const at::Tensor chosen =
        (picks.index.select(2, rank).unsqueeze(2) == numbers).to(keys.scalar_type());
    keys_.push_back(taken(chosen, keys));
    values_.push_back(taken(chosen, values));
    weights_.push_back(weight.select(2, rank).reshape({-1, 1, 1, 1}));
  }
}

at::Tensor RetrievedChunks::attend(const at::Tensor& q, double scale) const {
  at::Tensor sum;
  for (size_t rank = 0; rank < keys_.size(); ++rank) {
    const at::Tensor read = at::scaled_dot_product_attention(q, keys_[rank], values_[rank],
                                                             std::nullopt, 0.0, false, scale) *
                            weights_[rank];
    sum = sum.defined() ? sum + read : read;
  }
  return sum;
}

}  // namespace dsrasq::train
