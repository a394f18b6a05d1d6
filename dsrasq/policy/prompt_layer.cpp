#include "dsrasq/policy/prompt_layer.h"

#include <ATen/Functions.h>

#include <algorithm>

namespace dsrasq::policy {
namespace {

constexpr int64_t kPooled = 7;  // neighbours, as in both papers' LongBench runs
constexpr int64_t kBeta = 20;   // PyramidKV: the highest layer keeps 1/20 of the mean

}  // namespace

int64_t PromptBudget::kept_before(int64_t n_prompt) const {
  const int64_t mean = cache - observed;
  if (!is_pyramid || n_layers < 2 || n_prompt < 2 * mean) return mean;
  int64_t least = mean / kBeta, most = 2 * mean - least;
  if (most >= n_prompt - observed) {
    most = n_prompt - observed;
    least = 2 * mean - most;
  }
  return most - layer * ((most - least) / (n_layers - 1));
}

PromptLayer::PromptLayer(const HeadShape& shape, const PromptBudget& budget)
    : shape_(shape),
      budget_(budget),
      keys_(shape.n_kv_heads, shape.head_dim, kGrowthStep, shape.rows),
      values_(shape.n_kv_heads, shape.head_dim, kGrowthStep, shape.rows),
      positions_(shape.n_kv_heads, 1, kGrowthStep, shape.rows.dtype(at::kLong)),
      queries_(at::empty({shape.n_heads, 0, shape.head_dim}, shape.rows)) {}

at::Tensor PromptLayer::attend(const LayerTokens& tokens) {
  const int64_t n = tokens.q.size(1);
  const auto device = shape_.rows.device();
  keys_.append(tokens.k);
  values_.append(tokens.v);
  positions_.append(
      positions_from(tokens.first, n, device).view({1, n, 1}).expand({shape_.n_kv_heads, n, 1}));
  if (!prompt_ended_) {
    const at::Tensor all = at::cat({queries_, tokens.q.to(queries_.scalar_type())}, 1);
    const int64_t n_last = std::min(all.size(1), budget_.observed);
    queries_ = all.narrow(1, all.size(1) - n_last, n_last).contiguous();
  }
  const at::Tensor logits = grouped_logits(tokens.q, keys_.rows(), shape_);
  return grouped_values(visible_softmax(logits, causal(n, keys_.size(), device)), values_.rows());
}

// Rows [Hkv, kept] of the n_before tokens before the last w, ascending.
at::Tensor PromptLayer::chosen(int64_t n_before) const {
  const int64_t w = budget_.observed;
  const at::Tensor weights = visible_softmax(grouped_logits(queries_, keys_.rows(), shape_),
                                             causal(w, keys_.size(), shape_.rows.device()));
  const at::Tensor received = group_mean(weights.narrow(2, 0, n_before).sum(1), shape_.n_kv_heads);
  const at::Tensor pooled = at::max_pool1d(received, {kPooled}, {1}, {kPooled / 2});
  const int64_t n_kept = std::min(n_before, budget_.kept_before(keys_.size()));
  return std::get<0>(std::get<1>(at::topk(pooled, n_kept, 1)).sort(1));
}

void PromptLayer::prompt_ended() {
  prompt_ended_ = true;
  const int64_t n = keys_.size(), n_before = n - budget_.observed;
  if (n > budget_.cache) {
    const at::Tensor last = positions_from(n_before, budget_.observed, shape_.rows.device());
    const at::Tensor rows =
        at::cat({chosen(n_before), last.unsqueeze(0).expand({shape_.n_kv_heads, -1})}, 1)
            .unsqueeze(2);
    for (GrowingRows* all : {&keys_, &values_, &positions_})
      all->assign(at::gather(all->rows(), 1, rows.expand({-1, -1, all->rows().size(2)})));
  }
  queries_ = at::empty({shape_.n_heads, 0, shape_.head_dim}, shape_.rows);
}

size_t PromptLayer::planned_bytes(const HeadShape& shape) {
  return kPlannedGrowth *
         (shape.token_bytes() + static_cast<size_t>(shape.n_kv_heads) * sizeof(int64_t));
}

size_t PromptLayer::bytes() const {
  return keys_.bytes() + values_.bytes() + positions_.bytes() + queries_.nbytes();
}

std::vector<std::vector<int64_t>> PromptLayer::held() const {
  const at::Tensor positions = positions_.rows().cpu().contiguous();
  const auto* data = positions.const_data_ptr<int64_t>();
  std::vector<std::vector<int64_t>> held;
  for (int64_t g = 0; g < shape_.n_kv_heads; ++g)
    held.emplace_back(data + g * positions.size(1), data + (g + 1) * positions.size(1));
  return held;
}

}  // namespace dsrasq::policy
