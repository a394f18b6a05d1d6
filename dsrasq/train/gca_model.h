#pragma once

// The model of grouped cross attention (Hu et al. 2024, arXiv 2410.01651, section 3; there DRT):
// a decoder whose self attention slides, with a landmark after every chunk of text. In the middle,
// an encoder reads each chunk, each landmark picks earlier chunks, and all layers above read them
// while they read the chunk after that landmark.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/model/transformer.h"
#include "dsrasq/ops/linear.h"
#include "dsrasq/ops/rope.h"
#include "dsrasq/train/dense_attention.h"
#include "dsrasq/train/gca_config.h"
#include "dsrasq/train/gca_retrieval.h"

namespace dsrasq::train {

class GcaModel {
 public:
  /// `weights` has an entry for each of `gca_tensors(config)`; gradients reach those that require
  /// any. Matrices have one dtype, that of the activations.
  /// `angles` must outlive the model.
  GcaModel(const GcaConfig& config, const model::WeightsByName& weights, AngleCache& angles);

  /// Of B texts of T tokens, `[B, T]` Long, to the final normalised states `[B, T, E]`. Landmarks
  /// are put in and taken out here. `noise` `[B, N, N]`, N = `config().n_retrieving(T)`, is added
  /// to the scores for the choice of chunks (in training: Gumbel's), or undefined.
  at::Tensor states(const at::Tensor& ids, const at::Tensor& noise = {}) const;

  const GcaConfig& config() const { return config_; }
  /// What turns states into logits `[V, E]`.
  const at::Tensor& head() const { return head_; }

 private:
  struct Layer {
    at::Tensor attn_norm, ffn_norm;
    ops::Linear qkv, out, gate_up, down;
    at::Tensor cross_norm = {};  // of upper layers
    ops::Linear cross_q = {}, cross_out = {};
  };
  /// How the rows of activations are cut into sequences.
  struct Sequences {
    int64_t n = 0, length = 0;
    int64_t window = 0;  // 0: everything is read, what comes after included
    ops::Rope::Angles angles;
  };

  static Layer layer_of(const model::WeightsByName& weights, const std::string& prefix);
  Sequences sequences(int64_t n, int64_t length, int64_t window) const;
  at::Tensor with_landmarks(const at::Tensor& ids, int64_t n_chunks) const;
  /// h plus self attention, h plus the feed-forward part of `x`.
  at::Tensor attended(const Layer& layer, const at::Tensor& h, const Sequences& s) const;
  at::Tensor fed_forward(const Layer& layer, const at::Tensor& h, const at::Tensor& x) const;
  RetrievedChunks retrieve(const at::Tensor& chunks, const at::Tensor& noise) const;
  at::Tensor cross_attended(const Layer& layer, const at::Tensor& h, int64_t n_batch,
                            const RetrievedChunks& chunks) const;

  GcaConfig config_;
  AngleCache& angles_;
  ops::Rope rope_;
  at::Tensor embedding_, head_, output_norm_, landmark_, landmark_norm_;
  at::Tensor encoder_norm_, encoder_output_norm_;
  ops::Linear chunk_k_, chunk_v_;
  std::vector<Layer> layers_, encoder_;
};

}  // namespace dsrasq::train
