// The learned retriever's selection: one scan over the pool's int8 index keys.

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/policy/selector.h"

namespace dsrasq::policy {
namespace {

class IndexSelector final : public Selector {
 public:
  explicit IndexSelector(int64_t n_heads) : n_heads_(n_heads) {}

  void select(const SelectionRequest& request, Selection& selection) override {
    DSRASQ_CHECK(request.index != nullptr, kInternal, "policy.index_selector", "no index rows");
    limits_.resize(static_cast<size_t>(request.n_queries));
    for (int64_t t = 0; t < request.n_queries; ++t)
      limits_[static_cast<size_t>(t)] = request.first + t - request.window;
    const kernels::IndexPool pool = index_pool(request.pool);
    const kernels::IndexQueries queries{.codes = request.index->query_codes.data(),
                                        .scale = request.index->query_scales.data(),
                                        .weight = request.index->head_weights.data(),
                                        .limit = limits_.data(),
                                        .n = request.n_queries,
                                        .n_heads = static_cast<int32_t>(n_heads_)};
    kernels::select_top_k(
        pool, queries, static_cast<int32_t>(selection.top_k),
        {.selected = selection.slots.data(), .n_selected = selection.counts.data()});
  }

 private:
  int64_t n_heads_;
  std::vector<int64_t> limits_;
};

}  // namespace

kernels::IndexPool index_pool(const memory::TokenPool& pool) {
  return {.keys = pool.index_keys(),
          .key_scale = pool.index_scales(),
          .page_first_position = pool.page_first(),
          .page_count = pool.page_count(),
          .n_pages = pool.n_pages(),
          .dim = static_cast<int32_t>(pool.config().index_dim)};
}

std::unique_ptr<Selector> make_index_selector(int64_t n_heads) {
  return std::make_unique<IndexSelector>(n_heads);
}

}  // namespace dsrasq::policy
