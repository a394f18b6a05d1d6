#pragma once

// A pre-trained decoder-only transformer (Llama, Mistral, Qwen2/3, Gemma 2/3): weights, and the one
// forward pass that prefill, decode, evaluation and the retriever's teacher all use.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/model/lora.h"
#include "dsrasq/ops/linear.h"
#include "dsrasq/ops/rows.h"
#include "dsrasq/policy/policy.h"

namespace dsrasq::model {

struct LoadOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< of dense weights and activations
  bool packed = true;  ///< CPU: keep the weights quantised (false: dense fp32 tensors)
  kernels::Products products = kernels::Products::kFp32;  ///< of packed weights
};

/// Dense weights by their names in a checkpoint (checkpoint/tensor_names.h), all on one device.
/// Matrices have one dtype, that of the activations.
using WeightsByName = std::map<std::string, at::Tensor>;

class Transformer {
 public:
  Transformer(const checkpoint::Checkpoint& checkpoint, const LoadOptions& options);
  /// Of weights in memory, which it shares: the differentiable calls give them gradients where they
  /// require any. `weights` has an entry for each of `checkpoint::wanted_tensors(config)`.
  Transformer(const checkpoint::ModelConfig& config, const WeightsByName& weights);

  /// This model with an adapter's low-rank additions. The weights are shared, so the copy costs
  /// little; gradients reach `lora` where the weights are dense. Throws kBadInput naming what does
  /// not fit.
  Transformer adapted(const retriever::LoraByLayer& lora) const;

  const checkpoint::ModelConfig& config() const { return config_; }
  const policy::AttentionShape& shape() const { return shape_; }
  at::Device device() const { return options_.device; }

  /// Reads T tokens (ids `[T]`, Long, CPU) at the policy's position: final normalised states `[T,
  /// E]`. T must be at most what `policy.admit` allows. No gradients are recorded.
  at::Tensor forward(const at::Tensor& ids, policy::Policy& policy) const;
  /// States `[T, E]` to fp32 logits `[T, V]`.
  at::Tensor logits(const at::Tensor& states) const;

  /// The same two with gradients recorded, for dense weights only (`packed` false on the CPU). A
  /// checkpoint's weights get none.
  at::Tensor differentiable_forward(const at::Tensor& ids, policy::Policy& policy) const;
  at::Tensor differentiable_logits(const at::Tensor& states) const;

  /// Of `n` states, for how many logits `[rows, V]` are best made at a time, so that memory stays
  /// small beside the model's: at least 1.
  int64_t logit_rows(int64_t n) const;

  /// Bytes of the weights in memory, low-rank additions included.
  size_t bytes() const;

 private:
  struct Layer {
    at::Tensor attn_norm, q_norm, k_norm, post_attn_norm, ffn_norm, post_ffn_norm;
    ops::Linear qkv, out, gate_up, down;
    LowRankAddition qkv_lora = {}, out_lora = {}, down_lora = {};
  };
  template <class Source>
  void take_weights(const Source& load);
  at::Tensor run(const at::Tensor& ids, policy::Policy& policy) const;
  void check_dense() const;
  at::Tensor layer_forward(int64_t index, at::Tensor h, policy::Policy& policy) const;

  checkpoint::ModelConfig config_;
  LoadOptions options_;
  bool trains_weights_ = false;
  policy::AttentionShape shape_;
  ops::Linear embedding_, head_;
  at::Tensor output_norm_;
  std::vector<Layer> layers_;
};

}  // namespace dsrasq::model
