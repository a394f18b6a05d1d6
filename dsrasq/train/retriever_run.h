#pragma once

// The steps of a warm-up: what is computed with one stretch of text, for training and for scoring.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/train/dense_attention.h"
#include "dsrasq/train/indexer_bank.h"
#include "dsrasq/train/retriever_trainer.h"
#include "dsrasq/train/stretch_sampler.h"
#include "dsrasq/train/teacher_policy.h"

namespace dsrasq::train {

/// Layers that attend to everything: those with a sliding window have nothing to retrieve.
std::vector<int64_t> retriever_layers(const policy::AttentionShape& shape);

/// d_max: `wanted`, or 6,000 / 8,192 of the trained context when 0.
int64_t longest_distance(int64_t wanted, int64_t context);

struct RowOptions {
  int64_t rows = 512;
  int64_t window = 512;
  int64_t sinks = 4;
  bool focus_only = false;  ///< only where something has to be recalled
};

/// Query rows of a stretch that see far tokens.
SampledRows far_rows(const Stretch& stretch, const RowOptions& options, at::Device device,
                     CounterRng& rng);

/// Reads stretches with the teacher and lets every indexer learn or be scored.
class RetrieverRun {
 public:
  /// Random parameters on the model's device. `input` and `sampler` must outlive the run.
  RetrieverRun(const TrainInput& input, const RetrieverTrainOptions& options,
               const StretchSampler& sampler);

  /// For inputs of unit size: see `unit_input`.
  IndexerBank& parameters() { return parameters_; }
  const IndexerBank& parameters() const { return parameters_; }
  /// Indexers as they are outside of training, for the layers' inputs as they come, and back.
  retriever::IndexerParameters indexer_of_layer(int64_t index) const;
  void set_indexer(int64_t index, const retriever::IndexerParameters& values);

  /// Gradients of a step's batch, over all processes, into `gradient()`; the losses of the layers
  /// `[L]`, on the device. While a process reads on, the layers that it has read are summed.
  at::Tensor accumulate(int64_t step);
  const at::Tensor& gradient() const { return gradient_.matrix(); }
  int64_t tokens_read() const { return tokens_read_; }
  int64_t d_max() const { return d_max_; }

  /// On held-out text.
  RetrieverScore score();

 private:
  SampledRows rows_of(const Stretch& stretch, CounterRng& rng, bool focus_only) const;
  void read(const Stretch& stretch, const SampledRows& rows, const TeacherPolicy::Visit& visit);
  void score_stretch(const Stretch& stretch, int64_t index, bool recall, at::Tensor& sums);
  void measure_inputs();
  // A layer's input at a size of about 1. Models differ in it by a factor of 50 (Gemma's norms
  // enlarge), and one initialisation and one learning rate should do for all.
  at::Tensor unit_input(int64_t index, const at::Tensor& x) const {
    return x.div(input_size_[static_cast<size_t>(index)]);
  }

  const TrainInput& input_;
  RetrieverTrainOptions options_;
  const StretchSampler& sampler_;
  LossOptions loss_;
  int64_t d_max_;
  IndexerBank parameters_, gradient_;
  std::vector<int64_t> index_of_layer_;
  std::vector<double> input_size_;  // root mean square by retriever layer
  AngleCache angles_;
  int64_t tokens_read_ = 0;
};

}  // namespace dsrasq::train
