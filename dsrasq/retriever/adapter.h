#pragma once

// The trained parts that turn a pre-trained model into a DS-RASQ model, as one safetensors file:
// an indexer per retriever layer, thresholds, slots, gates and LoRA. Bound to one base model by its
// fingerprint.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/memory/slot_cache.h"
#include "dsrasq/retriever/adapter_budget.h"
#include "dsrasq/retriever/adapter_lora.h"

namespace dsrasq::retriever {

/// The parameters of one indexer (design 4): a light two-sided attention over the memory.
/// `n_h` heads of `d_i`; all fp32 on one device.
struct IndexerParameters {
  at::Tensor query;        ///< W_q `[n_h * d_i, E]`
  at::Tensor key;          ///< W_k `[d_i, E]`
  at::Tensor norm_weight;  ///< of the key's LayerNorm `[d_i]`
  at::Tensor norm_bias;    ///< `[d_i]`
  at::Tensor head_weight;  ///< W_w `[n_h, E]`
  at::Tensor head_bias;    ///< b_w `[n_h]`
  at::Tensor local;        ///< w_nu `[1, E]`: log of the mass that stays local
  at::Tensor local_bias;   ///< b_nu `[1]`

  /// Every tensor with its name in the file, e.g. "query".
  template <class Visit>
  void visit(Visit&& visit) {
    visit("query", query), visit("key", key), visit("norm_weight", norm_weight);
    visit("norm_bias", norm_bias), visit("head_weight", head_weight);
    visit("head_bias", head_bias), visit("local", local), visit("local_bias", local_bias);
  }
};

/// An adapter in memory. In the file: tensor `retriever.LAYER.NAME`, fp16 or fp32; metadata
/// `format` "dsrasq-adapter", `version` "1", `base_fingerprint`, `config` and `record` (JSON).
struct Adapter {
  std::string base_fingerprint;  ///< checkpoint::Checkpoint::fingerprint() of the model it is for
  std::string base_name;
  int64_t n_embd = 0;
  int64_t n_heads = 4;                            ///< n_h
  int64_t head_dim = 32;                          ///< d_i
  int64_t d_max = 0;                              ///< longest distance that RoPE sees
  std::map<int64_t, IndexerParameters> indexers;  ///< by retriever layer
  /// tau (design 4) by layer: log of the estimated mass from which a token is retrieved. Empty
  /// where none were trained. In the file: `retriever.LAYER.threshold`.
  std::map<int64_t, float> thresholds;
  /// By layer, how much of what it reads of the past lies on an old detail when that detail has to
  /// be recalled (0 to 1, train::recall_shares). Empty where it was not measured. In the file:
  /// `retriever.LAYER.recall`.
  std::map<int64_t, float> recall;
  /// By layer; empty until the size of what is retrieved was trained by policy gradient.
  BudgetByLayer budgets;
  /// By layer; empty until the model's own weights are trained along.
  LoraByLayer lora;
  /// By layer, all of one mode; empty until the compressive cache is trained. In the file:
  /// `slots.LAYER.NAME` and config.slot_mode.
  std::map<int64_t, memory::SlotParameters> slots;
  std::string record;  ///< JSON: how it was trained

  /// Empty where there are no slots.
  std::optional<memory::SlotMode> slot_mode() const;

  /// Throws kBadInput naming the file and what is missing or has another shape or a NaN.
  static Adapter load(const std::filesystem::path& path);
  /// Weights as fp16. Atomic.
  void save(const std::filesystem::path& path) const;
  /// Random parameters as the warm-up starts from: N(0, 1/E) projections, unit LayerNorm.
  static IndexerParameters random(int64_t n_embd, int64_t n_heads, int64_t head_dim, uint64_t seed);
};

/// The first adapter in the folders whose base fingerprint is this one; empty when none is.
/// Unreadable files in the folders are passed over.
std::optional<std::filesystem::path> find_adapter(
    const std::string& base_fingerprint, const std::vector<std::filesystem::path>& folders);

}  // namespace dsrasq::retriever
