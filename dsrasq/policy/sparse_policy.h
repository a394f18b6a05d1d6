#pragma once

// The policy of fixed size (design 3): sinks, a window ring and a pool of which each query reads
// what a selector picks. dsrasq, window, random, recency and oracle are this class with other
// selectors.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/memory/probe_set.h"
#include "dsrasq/memory/slot_cache.h"
#include "dsrasq/memory/token_pool.h"
#include "dsrasq/memory/window_ring.h"
#include "dsrasq/policy/cache_hits.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/policy/selector.h"
#include "dsrasq/retriever/indexer.h"

namespace dsrasq::policy {

class SparsePolicy final : public Policy, public CountsHits {
 public:
  /// `selector` may be null: then nothing is retrieved and there is no pool. `adapter` may be null:
  /// then pools have no index. `options.max_distance` is set. `shape` must outlive the policy. CPU
  /// only.
  SparsePolicy(const PolicyOptions& options, const AttentionShape& shape,
               std::unique_ptr<Selector> selector, const retriever::Adapter* adapter);

  std::string name() const override { return options_.name; }
  int64_t admit(int64_t n_tokens) const override;
  void begin(int64_t n_tokens) override;
  at::Tensor attend(const LayerInput& input) override;
  void end() override;

  int64_t position() const override { return position_; }
  size_t bytes() const override;
  double mean_retrieved() const override;
  void set_probing(bool probing) override { probing_ = probing; }
  void start_recording() override;
  std::vector<RetrievedToken> take_recording() override;

  void count_hits() override { hits_.emplace(shape_.n_layers); }
  std::optional<double> cache_hit_rate() const override {
    return hits_ ? hits_->rate() : std::nullopt;
  }
  /// `observer` is told of every selection from here on; null: nobody. It must outlive that.
  void observe(SelectionObserver* observer) { observer_ = observer; }
  const PolicyOptions& options() const { return options_; }
  const AttentionShape& shape() const { return shape_; }

  void save(formats::ChunkFileWriter& out) const override;
  void load(const formats::ChunkFile& in) override;

  static size_t planned_bytes(const PolicyOptions& options, const AttentionShape& shape,
                              bool has_pool, const retriever::Adapter* adapter);

 private:
  /// The memory of one layer.
  struct Layer {
    int64_t window = 0;  ///< W, or the model's own sliding window
    int64_t n_sinks = 0;
    memory::WindowRing ring;
    memory::Sinks sinks;
    std::optional<memory::TokenPool> pool;
    std::optional<memory::SlotCache> slots;
    std::optional<retriever::Indexer> indexer;
    memory::ProbeSet probes;
    size_t rope = 0;  ///< which of `ropes_`

    template <class Visit>
    void visit(Visit&& visit) const;
  };
  /// Angles that all layers of one kind share.
  struct RopeTables {
    const ops::Rope* rope = nullptr;
    ops::Rope::Angles now;       ///< of the call's positions `[T, D/2]`
    ops::Rope::Angles distance;  ///< of 0 .. d_max `[d_max + 1, D/2]`
  };

  void add_layer(int64_t index, const retriever::Adapter* adapter);
  size_t rope_of(const ops::Rope& rope);
  /// Blocks of tokens that have wholly left the window.
  int64_t n_left_blocks(const Layer& layer) const;
  void fold_left_blocks(Layer& layer) const;
  void select(const LayerInput& input, Layer& layer, const retriever::IndexRows* rows);
  void run_attention(const LayerInput& input, const Layer& layer, const at::Tensor& q,
                     at::Tensor& out, std::vector<float>& mass) const;
  /// First positions of the pages that all layers keep for the question, ascending.
  std::vector<int64_t> shared_pages() const;
  void update_retention(Layer& layer, const retriever::IndexRows* rows);
  void score_new_pages(Layer& layer, const std::vector<int64_t>& pages) const;
  float attention_scale(int64_t layer) const {
    return static_cast<float>(shape_.layers[static_cast<size_t>(layer)].scale);
  }
  void record(int64_t index, const Layer& layer, const std::vector<float>& mass);

  PolicyOptions options_;
  const AttentionShape& shape_;
  std::unique_ptr<Selector> selector_;
  int64_t max_distance_;
  std::vector<RopeTables> ropes_;
  std::vector<Layer> layers_;
  std::vector<size_t> leaders_;  // the layers that recall most; empty where that is not known
  int64_t position_ = 0, n_call_ = 0;

  Selection selection_;
  int64_t n_retrieved_ = 0, n_queries_ = 0;  // for mean_retrieved
  bool probing_ = false, recording_ = false;
  std::vector<RetrievedToken> recorded_;
  std::optional<CacheHits> hits_;
  SelectionObserver* observer_ = nullptr;
};

}  // namespace dsrasq::policy
