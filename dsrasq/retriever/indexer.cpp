#include "dsrasq/retriever/indexer.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/kernels/rows.h"

namespace dsrasq::retriever {
namespace {
constexpr float kLayerNormEps = 1e-5f;
}

Indexer::Indexer(const IndexerParameters& p, int64_t n_heads, int64_t head_dim)
    : n_heads_(n_heads),
      head_dim_(head_dim),
      projection_(
          ops::Linear::packed(at::cat({p.query, p.key, p.head_weight, p.local}),
                              at::cat({at::zeros({(n_heads + 1) * head_dim}),
                                       p.head_bias.to(at::kFloat), p.local_bias.to(at::kFloat)}))),
      norm_weight_(p.norm_weight.to(at::kFloat).contiguous()),
      norm_bias_(p.norm_bias.to(at::kFloat).contiguous()) {}

IndexRows Indexer::project(const at::Tensor& x) const {
  const at::Tensor projected = projection_(x);
  const int64_t n = x.size(0), stride = projected.size(1), n_query = n_heads_ * head_dim_;
  IndexRows rows{.n_tokens = n,
                 .query_codes = std::vector<int8_t>(static_cast<size_t>(n * n_query)),
                 .query_scales = std::vector<float>(static_cast<size_t>(n * n_heads_)),
                 .head_weights = std::vector<float>(static_cast<size_t>(n * n_heads_)),
                 .keys = std::vector<float>(static_cast<size_t>(n * head_dim_)),
                 .local = std::vector<float>(static_cast<size_t>(n))};
  const float* row = projected.const_data_ptr<float>();
  for (int64_t t = 0; t < n; ++t, row += stride) {
    kernels::quantize_rows(row, n_heads_, head_dim_, rows.query_codes.data() + t * n_query,
                           rows.query_scales.data() + t * n_heads_, kernels::kMaxQueryCode);
    std::copy_n(row + n_query, head_dim_, rows.keys.data() + t * head_dim_);
    std::copy_n(row + n_query + head_dim_, n_heads_, rows.head_weights.data() + t * n_heads_);
    rows.local[static_cast<size_t>(t)] = row[n_query + head_dim_ + n_heads_];
  }
  kernels::layer_norm({.shape = {.rows = n,
                                 .groups = 1,
                                 .width = head_dim_,
                                 .x_stride = head_dim_,
                                 .y_stride = head_dim_},
                       .x = rows.keys.data(),
                       .weight = norm_weight_.const_data_ptr<float>(),
                       .bias = norm_bias_.const_data_ptr<float>(),
                       .y = rows.keys.data(),
                       .eps = kLayerNormEps});
  return rows;
}

}  // namespace dsrasq::retriever
