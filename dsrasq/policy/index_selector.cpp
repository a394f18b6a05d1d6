// The learned retriever's selection: one scan over the pool's int8 index keys.

#include <span>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/policy/selector.h"
#include "dsrasq/policy/set_size.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kQueriesAtOnce = 16;

class IndexSelector final : public Selector {
 public:
  IndexSelector(const PolicyOptions& options, const retriever::Adapter& adapter)
      : n_heads_(adapter.n_heads), sizes_(options, adapter) {}

  void select(const SelectionRequest& request, Selection& selection) override {
    DSRASQ_CHECK(request.index != nullptr, kInternal, "policy.index_selector", "no index rows");
    const auto n = static_cast<size_t>(request.n_queries);
    limits_.resize(n);
    for (size_t t = 0; t < n; ++t)
      limits_[t] = request.first + static_cast<int64_t>(t) - request.window;
    const kernels::IndexPool pool = index_pool(request.pool);
    const kernels::IndexQueries queries{.codes = request.index->query_codes.data(),
                                        .scale = request.index->query_scales.data(),
                                        .weight = request.index->head_weights.data(),
                                        .limit = limits_.data(),
                                        .n = request.n_queries,
                                        .n_heads = static_cast<int32_t>(n_heads_)};
    kernels::Selection out{.selected = selection.slots.data(),
                           .n_selected = selection.counts.data()};
    if (sizes_.leaves_out()) {
      scores_.resize(selection.slots.size());
      log_mass_.resize(n);
      out.scores = scores_.data(), out.log_mass = log_mass_.data();
    }
    kernels::select_top_k(pool, queries, static_cast<int32_t>(selection.top_k), out);
    if (sizes_.leaves_out()) leave_out(request, selection);
  }

 private:
  void leave_out(const SelectionRequest& request, Selection& selection) const {
    const float* x = request.input.x.const_data_ptr<float>();
    const int64_t n_embd = request.input.x.size(1);
    const auto top_k = static_cast<size_t>(selection.top_k);
    parallel_for(request.n_queries, kQueriesAtOnce, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const auto row = static_cast<size_t>(t);
        const auto found = static_cast<size_t>(selection.counts[row]);
        selection.counts[row] =
            sizes_.keep(request.input.layer, x + t * n_embd,
                        {.slots = std::span(selection.slots).subspan(row * top_k, found),
                         .scores = std::span(scores_).subspan(row * top_k, found),
                         .log_mass = log_mass_[row],
                         .local = request.index->local[row]});
      }
    });
  }

  int64_t n_heads_;
  SetSizes sizes_;
  std::vector<int64_t> limits_;
  std::vector<float> scores_, log_mass_;
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

std::unique_ptr<Selector> make_index_selector(const PolicyOptions& options,
                                              const retriever::Adapter& adapter) {
  return std::make_unique<IndexSelector>(options, adapter);
}

}  // namespace dsrasq::policy
