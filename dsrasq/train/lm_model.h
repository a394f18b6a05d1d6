#pragma once

// A Llama that is trained from nothing: its configuration, its weights in fp32, and what learns
// beside them: the indexers, or the further weights of grouped cross attention.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/model/transformer.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/gca_model.h"
#include "dsrasq/train/indexer_bank.h"
#include "dsrasq/train/lm_options.h"
#include "dsrasq/train/parameter_bank.h"

namespace dsrasq::train {

/// Throws kInvalidArgument naming the option that no model can have.
checkpoint::ModelConfig lm_config(const LmTrainOptions& options, int64_t vocab_size);

class LmModel {
 public:
  /// Random weights, the same on every device. `type` is fp32, or fp64 for exact gradients.
  LmModel(const LmTrainOptions& options, int64_t vocab_size, at::Device device,
          at::ScalarType type = at::kFloat);

  const checkpoint::ModelConfig& config() const { return config_; }
  /// Null where there is no grouped cross attention.
  const GcaConfig* gca_config() const { return gca_config_ ? &*gca_config_ : nullptr; }
  /// Matrices, which decay, and the weights of norms, which do not.
  ParameterBank& matrices() { return matrices_; }
  ParameterBank& norms() { return norms_; }
  const ParameterBank& norms() const { return norms_; }
  /// Null where the attention is full.
  IndexerBank* indexers() { return has_indexers_ ? &indexers_ : nullptr; }
  IndexerBank& indexer_gradient() { return indexer_gradient_; }
  int64_t count() const { return matrices_.size() + norms_.size() + indexers_.matrix().numel(); }

  /// Matrices rounded to `dtype`. Where gradients are recorded they reach the banks.
  model::Transformer transformer(at::ScalarType dtype) const;
  /// The same with all of its weights, where there is grouped cross attention.
  GcaModel gca(at::ScalarType dtype, AngleCache& angles) const;
  /// What turns states into logits `[V, E]`, in `dtype` and without gradients, and where its
  /// gradient is added up.
  at::Tensor head(at::ScalarType dtype) const;
  const at::Tensor& head_gradient() const { return matrices_.gradient_of(head_); }
  /// By their names in a checkpoint, views.
  model::WeightsByName weights() const;
  /// The indexers as an adapter holds them, without base model and record.
  retriever::Adapter adapter(int64_t d_max) const;

  void clear_gradients();

 private:
  struct Place {
    bool is_matrix = true;
    size_t index = 0;
  };

  model::WeightsByName trained_weights(at::ScalarType dtype) const;

  checkpoint::ModelConfig config_;
  std::optional<GcaConfig> gca_config_;
  IndexerSize index_size_;
  bool has_indexers_ = false;
  std::map<std::string, Place> places_;
  size_t head_ = 0;  // among the matrices
  ParameterBank matrices_, norms_;
  IndexerBank indexers_, indexer_gradient_;
};

}  // namespace dsrasq::train
