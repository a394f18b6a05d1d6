#pragma once

// The steps of a training from nothing: what is computed with a batch of stretches.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/train/lm_attention.h"
#include "dsrasq/train/lm_model.h"
#include "dsrasq/train/lm_options.h"
#include "dsrasq/train/process_group.h"
#include "dsrasq/train/stretch_sampler.h"

namespace dsrasq::train {

/// Of a step, in this order in a tensor on the device.
enum LmMetric : int64_t {
  kLmNll,        ///< of a token, mean over the batch
  kLmRetriever,  ///< the indexers' KL, mean over layers and the stretches that they learn from
  kLmMetrics
};

class LmRun {
 public:
  /// All must outlive the run.
  LmRun(LmModel& model, const LmTrainOptions& options, const StretchSampler& sampler,
        ProcessGroup& processes, at::Device device, at::ScalarType dtype);

  /// Gradients of this process's share of a step's batch into the model's banks; its part of
  /// `[kLmMetrics]` on the device: both are to be summed over all processes. Does not wait for the
  /// device.
  at::Tensor accumulate(int64_t step);
  /// Perplexity of held-out text, over all processes; 0 without any stretches.
  double score();
  int64_t tokens_read() const { return tokens_read_; }

 private:
  /// Stretches that one forward pass reads.
  int64_t stretches_at_once() const;
  /// Their tokens `[B * T]` on the device.
  at::Tensor ids_of(const std::vector<Stretch>& stretches) const;
  /// Of `ids` `[B * T]` the final states `[B, T, E]`, with gradients where they are recorded.
  /// `visit` sees the layers of sparse attention; `noise` is for GcaModel::states.
  at::Tensor states(const at::Tensor& ids, LmPolicy::Visit visit, const at::Tensor& noise);
  /// For these stretches of a step's batch `[B, N, N]`; undefined where nothing wants it.
  at::Tensor gumbel_noise(int64_t step, const std::vector<int64_t>& indices) const;
  /// Adds metrics to `sums`.
  void learn(int64_t step, const std::vector<int64_t>& indices, at::Tensor& sums);
  void teach_indexer(int64_t layer, const at::Tensor& x, const DenseAttention& all,
                     const std::vector<SampledRows>& rows, at::Tensor& loss);

  LmModel& model_;
  const LmTrainOptions& options_;
  const StretchSampler& sampler_;
  ProcessGroup& processes_;
  at::Device device_;
  at::ScalarType dtype_;
  LmAttention attention_;
  LossOptions index_loss_;
  policy::AttentionShape shape_;
  int64_t logit_rows_;
  AngleCache angles_;
  int64_t tokens_read_ = 0;
};

}  // namespace dsrasq::train
