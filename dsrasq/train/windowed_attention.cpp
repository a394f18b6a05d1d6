#include "dsrasq/train/windowed_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <optional>

namespace dsrasq::train {

at::Tensor windowed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              int64_t window, double scale) {
  const int64_t length = q.size(2), n_first = std::min(window, length);
  const at::Tensor first =
      at::scaled_dot_product_attention(q.narrow(2, 0, n_first), k.narrow(2, 0, n_first),
                                       v.narrow(2, 0, n_first), std::nullopt, 0.0, true, scale);
  if (length <= window) return first;

  // Blocks of a window each: a query of any but the first reads its own and the one before.
  const int64_t n_batch = q.size(0), n_heads = q.size(1), n_blocks = (length - 1) / window;
  const int64_t missing = (n_blocks + 1) * window - length;
  const auto blocks = [&](const at::Tensor& x) {
    return at::constant_pad_nd(x, {0, 0, 0, missing})
        .view({n_batch, n_heads, n_blocks + 1, window, x.size(3)});
  };
  const auto rows = [](const at::Tensor& x) { return x.transpose(1, 2).flatten(0, 1); };
  const auto pairs = [&](const at::Tensor& x) {
    const at::Tensor all = blocks(x);
    return rows(at::cat({all.narrow(2, 0, n_blocks), all.narrow(2, 1, n_blocks)}, 3));
  };
  const auto ints = q.options().dtype(at::kInt).requires_grad(false);
  const at::Tensor row = at::arange(window, ints).unsqueeze(1),
                   column = at::arange(2 * window, ints);
  const at::Tensor seen = (column > row).logical_and_(column <= row + window);
  const at::Tensor rest =
      at::scaled_dot_product_attention(rows(blocks(q).narrow(2, 1, n_blocks)), pairs(k), pairs(v),
                                       seen.view({1, 1, window, -1}), 0.0, false, scale)
          .view({n_batch, n_blocks, n_heads, window, v.size(3)})
          .transpose(1, 2)
          .flatten(2, 3);
  return at::cat({first, rest.narrow(2, 0, length - window)}, 2);
}

}  // namespace dsrasq::train
