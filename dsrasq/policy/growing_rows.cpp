#include "dsrasq/policy/growing_rows.h"

#include <ATen/Functions.h>

namespace dsrasq::policy {

GrowingRows::GrowingRows(int64_t n_heads, int64_t width, int64_t step, at::TensorOptions options)
    : step_(step), rows_(at::empty({n_heads, 0, width}, options)) {}

void GrowingRows::append(const at::Tensor& rows) {
  const int64_t n = n_ + rows.size(1);
  if (n > rows_.size(1)) {
    const int64_t room = (n + step_ - 1) / step_ * step_;
    at::Tensor larger = at::empty({rows_.size(0), room, rows_.size(2)}, rows_.options());
    larger.narrow(1, 0, n_).copy_(rows_.narrow(1, 0, n_));
    rows_ = larger;
  }
  rows_.narrow(1, n_, rows.size(1)).copy_(rows);
  n_ = n;
}

void GrowingRows::assign(const at::Tensor& rows) {
  rows_ = rows.to(rows_.options()).contiguous();
  n_ = rows.size(1);
}

}  // namespace dsrasq::policy
