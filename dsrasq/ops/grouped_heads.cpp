#include "dsrasq/ops/grouped_heads.h"

#include <ATen/Functions.h>

namespace dsrasq::ops {
namespace {

// [H, T, X] to [Hkv, H / Hkv * T, X].
at::Tensor by_group(const at::Tensor& rows, int64_t n_groups) {
  return rows.reshape({n_groups, rows.size(0) / n_groups * rows.size(1), rows.size(2)});
}

}  // namespace

at::Tensor grouped_products(const at::Tensor& q, const at::Tensor& keys) {
  return at::matmul(by_group(q, keys.size(0)), keys.transpose(1, 2))
      .view({q.size(0), q.size(1), keys.size(1)});
}

at::Tensor grouped_values(const at::Tensor& weights, const at::Tensor& values) {
  return at::matmul(by_group(weights, values.size(0)), values)
      .view({weights.size(0), weights.size(1), values.size(2)});
}

}  // namespace dsrasq::ops
