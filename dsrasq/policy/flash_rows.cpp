#include "dsrasq/policy/flash_rows.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <optional>

namespace dsrasq::policy {
namespace {

constexpr int64_t kFirstRows = 4096;

}  // namespace

FlashRows::FlashRows(int64_t n_kv_heads, int64_t head_dim, int64_t window, int64_t longest_call,
                     at::TensorOptions options)
    : window_(window) {
  // Twice the window: a decoder then moves its rows once a window only.
  const int64_t capacity = window > 0 ? 2 * window + longest_call : kFirstRows;
  k_ = at::empty({capacity, n_kv_heads, head_dim}, options.dtype(at::kBFloat16));
  v_ = at::empty_like(k_);
}

void FlashRows::open(int64_t n_tokens) {
  n_new_ = n_tokens;
  if (end_ + n_tokens > k_.size(0)) {
    const int64_t n_kept = window_ > 0 ? std::min(window_ - 1, end_) : end_;
    int64_t capacity = k_.size(0);
    while (capacity < n_kept + n_tokens) capacity *= 2;
    move_to(capacity, n_kept);
  }
  end_ += n_tokens;
}

// Puts the last rows in front.
void FlashRows::move_to(int64_t capacity, int64_t n_kept) {
  for (at::Tensor* rows : {&k_, &v_}) {
    const at::Tensor kept = rows->narrow(0, end_ - n_kept, n_kept).clone();
    if (capacity > rows->size(0)) {
      std::vector<int64_t> sizes = rows->sizes().vec();
      sizes[0] = capacity;
      *rows = at::empty(sizes, rows->options());
    }
    rows->narrow(0, 0, n_kept).copy_(kept);
  }
  end_ = n_kept;
}

FlashRows::Read FlashRows::attend(const at::Tensor& q, double scale) const {
  const int64_t n_before = end_ - n_new_;
  const int64_t n_rows = n_new_ + (window_ > 0 ? std::min(window_ - 1, n_before) : n_before);
  const auto rows = [&](const at::Tensor& t) {
    return t.narrow(0, end_ - n_rows, n_rows).unsqueeze(0);
  };
  // A single query sees all rows that are left; without a band its heads can share them.
  std::optional<int64_t> left, right;
  if (window_ > 0 && n_new_ > 1) left = window_ - 1, right = 0;
  const auto [out, mass, state, unused, debug] =
      at::_flash_attention_forward(q.unsqueeze(0), rows(k_), rows(v_), std::nullopt, std::nullopt,
                                   n_new_, n_rows, 0.0, true, false, scale, left, right);
  return {out.squeeze(0), mass.squeeze(0)};
}

}  // namespace dsrasq::policy
