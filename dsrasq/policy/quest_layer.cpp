#include "dsrasq/policy/quest_layer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace dsrasq::policy {
namespace {

constexpr int64_t kPage = 16;
constexpr int64_t kLeastPages = 3;

}  // namespace

int64_t QuestLayer::pages_for(int64_t tokens) { return std::max(kLeastPages, tokens / kPage); }

QuestLayer::QuestLayer(const HeadShape& shape, int64_t n_pages_read)
    : shape_(shape),
      n_pages_read_(n_pages_read),
      keys_(shape.n_kv_heads, shape.head_dim, kGrowthStep, shape.rows),
      values_(shape.n_kv_heads, shape.head_dim, kGrowthStep, shape.rows),
      least_(shape.n_kv_heads, shape.head_dim, kGrowthStep / kPage, shape.rows),
      most_(shape.n_kv_heads, shape.head_dim, kGrowthStep / kPage, shape.rows) {}

void QuestLayer::bound_full_pages() {
  const int64_t first = least_.size(), n = keys_.size() / kPage - first;
  if (n == 0) return;
  const at::Tensor pages = keys_.rows()
                               .narrow(1, first * kPage, n * kPage)
                               .reshape({shape_.n_kv_heads, n, kPage, shape_.head_dim});
  least_.append(at::amin(pages, {2}));
  most_.append(at::amax(pages, {2}));
}

// The sum over channels of max(q * least, q * most): [H, T, full pages].
at::Tensor QuestLayer::page_scores(const at::Tensor& q) const {
  return grouped_products(q.clamp_min(0), most_.rows()) +
         grouped_products(q.clamp_max(0), least_.rows());
}

// Which tokens each query reads, later ones among them: [H, T, N]; `page` [T, 1] is its own.
at::Tensor QuestLayer::picked(const at::Tensor& q, const at::Tensor& page) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int64_t n_pages = (keys_.size() + kPage - 1) / kPage;
  const at::Tensor index = positions_from(0, n_pages, shape_.rows.device()).unsqueeze(0);
  // A page is full before any later one is begun, so those before a query's own have bounds.
  const at::Tensor scores =
      at::constant_pad_nd(page_scores(q), {0, n_pages - most_.size()}, -kInfinity)
          .masked_fill(index > page, -kInfinity)
          .masked_fill(index == page, kInfinity);
  const at::Tensor best = std::get<1>(at::topk(scores, n_pages_read_, -1));
  const at::Tensor pages =
      at::zeros(scores.sizes(), scores.options().dtype(at::kBool)).scatter_(-1, best, true);
  return pages.repeat_interleave(kPage, -1).narrow(-1, 0, keys_.size());
}

at::Tensor QuestLayer::attend(const LayerTokens& tokens) {
  keys_.append(tokens.k);
  values_.append(tokens.v);
  const auto device = shape_.rows.device();
  const int64_t n = tokens.q.size(1);
  at::Tensor visible = causal(n, keys_.size(), device);
  if (n_pages_read_ > 0) {
    bound_full_pages();
    if (keys_.size() > n_pages_read_ * kPage) {
      const at::Tensor page = at::floor_divide(positions_from(tokens.first, n, device), kPage);
      visible = at::logical_and(visible, picked(tokens.q, page.unsqueeze(1)));
    }
  }
  const at::Tensor logits = grouped_logits(tokens.q, keys_.rows(), shape_);
  return grouped_values(visible_softmax(logits, visible), values_.rows());
}

size_t QuestLayer::planned_bytes(const HeadShape& shape, bool has_pages) {
  return shape.token_bytes() * (kPlannedGrowth + (has_pages ? kPlannedGrowth / kPage : 0));
}

size_t QuestLayer::bytes() const {
  return keys_.bytes() + values_.bytes() + least_.bytes() + most_.bytes();
}

std::vector<std::vector<int64_t>> QuestLayer::held() const {
  std::vector<int64_t> positions(static_cast<size_t>(keys_.size()));
  std::iota(positions.begin(), positions.end(), 0);
  return held_by_all(shape_.n_kv_heads, positions);
}

}  // namespace dsrasq::policy
