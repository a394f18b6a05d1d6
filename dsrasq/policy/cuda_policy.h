#pragma once

// full, window and dsrasq on a GPU by this project's kernels and LibTorch's flash attention. What
// dsrasq keeps is of fixed size and reserved when it is made; calls are long, as nothing that a
// query sees depends on how the text was cut.

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "dsrasq/policy/call_slots.h"
#include "dsrasq/policy/cuda_pool.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/policy/flash_rows.h"
#include "dsrasq/policy/policy.h"

namespace dsrasq::policy {

class CudaPolicy final : public Policy {
 public:
  /// Whether the kernels know these options and this model; MaskedPolicy knows all others.
  static bool supports(const PolicyOptions& options, const AttentionShape& shape,
                       const retriever::Adapter* adapter);

  /// `options.max_distance` is set. `adapter` is needed for dsrasq only. `shape` and `adapter` must
  /// outlive the policy.
  CudaPolicy(const PolicyOptions& options, const AttentionShape& shape,
             const retriever::Adapter* adapter, at::Device device);

  std::string name() const override { return options_.name; }
  int64_t admit(int64_t n_tokens) const override;
  void begin(int64_t n_tokens) override;
  at::Tensor attend(const LayerInput& input) override;
  void end() override { position_ += n_call_; }
  int64_t position() const override { return position_; }
  size_t bytes() const override;
  double mean_retrieved() const override;
  /// Throws kUnavailable: sessions are kept by the CPU's policies.
  void save(formats::ChunkFileWriter& out) const override;
  void load(const formats::ChunkFile& in) override;

 private:
  struct Layer {
    FlashRows rows;
    std::optional<CudaPool> pool;  // none where the model attends to all, or has a window
    std::optional<CallSlots> slots;
    size_t rope = 0;  // which of `ropes_`
  };
  void add_layer(int64_t index, const retriever::Adapter* adapter);
  size_t rope_of(const ops::Rope& rope);
  std::pair<at::Tensor, at::Tensor> append(const LayerInput& input, Layer& layer) const;

  PolicyOptions options_;
  const AttentionShape& shape_;
  at::Device device_;
  cuda::PoolRule rule_{};
  int64_t capacity_ = 0;  // of rings
  std::vector<std::pair<const ops::Rope*, RopeRing>> ropes_;
  std::vector<Layer> layers_;
  int64_t position_ = 0, n_call_ = 0;
};

}  // namespace dsrasq::policy
