#pragma once

// Any policy on a GPU, by plain tensor operations, where there are no kernels for it: all tokens
// are kept, and a mask says which of them a query reads. The same rules as FullPolicy and
// SparsePolicy (int8 pool, clamped distances, quantised index scores, latent slots), for
// evaluation; memory grows with the text, and time with its square.

#include <optional>
#include <utility>
#include <vector>

#include "dsrasq/policy/cache_hits.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/policy/masked_slots.h"
#include "dsrasq/policy/policy.h"
#include "dsrasq/policy/tensor_sizes.h"

namespace dsrasq::policy {

class MaskedPolicy final : public Policy, public CountsHits {
 public:
  /// `options.max_distance` is set. `adapter` is needed for dsrasq only. `shape` and `adapter` must
  /// outlive the policy.
  MaskedPolicy(const PolicyOptions& options, const AttentionShape& shape,
               const retriever::Adapter* adapter, at::Device device);

  std::string name() const override { return options_.name; }
  int64_t admit(int64_t n_tokens) const override;
  void begin(int64_t n_tokens) override;
  at::Tensor attend(const LayerInput& input) override;
  void end() override { position_ += n_call_; }
  int64_t position() const override { return position_; }
  size_t bytes() const override;
  double mean_retrieved() const override;
  void count_hits() override;
  std::optional<double> cache_hit_rate() const override;
  /// Throws kUnavailable: sessions are kept by the CPU's policies.
  void save(formats::ChunkFileWriter& out) const override;
  void load(const formats::ChunkFile& in) override;

 private:
  /// Rows `[capacity, ...]`, the first `position_` of them set.
  struct Layer {
    at::Tensor k, k_rotated, v;            // as attention reads them in the window
    at::Tensor k8, k8_rotated, v8;         // as the pool gives them back
    at::Tensor index_keys;                 // [capacity, d_i], as the pool gives them back
    retriever::IndexerParameters indexer;  // on the device
    std::optional<TensorSizes> sizes;
    std::optional<MaskedSlots> slots;
    at::Tensor last_picked;  // [N] of the last query, where hits are counted
    bool is_sparse = false;  // neither full attention nor a sliding window
  };
  struct Turns {
    ops::Rope::Angles now, far;  // of the call's positions, of d_max
  };
  void store(const LayerInput& input, Layer& layer, const Turns& turns) const;
  void reserve(int64_t n_tokens);
  void fold_left_blocks(Layer& layer) const;
  at::Tensor visible() const;
  at::Tensor local_mask(const Layer& layer, int64_t sliding_window) const;
  at::Tensor logits(const LayerInput& input, const Layer& layer, const Turns& turns,
                    const at::Tensor& local) const;
  at::Tensor index_scores(const Layer& layer, const at::Tensor& x) const;
  at::Tensor kept(const Layer& layer, const at::Tensor& x, const at::Tensor& rank,
                  const at::Tensor& best) const;
  at::Tensor selected(const LayerInput& input, const Layer& layer, const at::Tensor& logits,
                      const at::Tensor& visible) const;
  void add_hits(Layer& layer, const at::Tensor& picked);
  const ops::Rope::Angles& angles(const ops::Rope& rope, bool far);

  PolicyOptions options_;
  const AttentionShape& shape_;
  at::Device device_;
  int64_t index_heads_ = 0;
  std::vector<Layer> layers_;
  int64_t capacity_ = 0, position_ = 0, n_call_ = 0;
  at::Tensor distance_;  // [T, N] of the call: i - j
  std::vector<std::pair<const ops::Rope*, ops::Rope::Angles>> now_, far_;
  at::Tensor n_retrieved_;  // scalar on the device
  int64_t n_queries_ = 0;
  at::Tensor hits_;  // [2] on the device, where they are counted: sum of shares, queries
};

}  // namespace dsrasq::policy
