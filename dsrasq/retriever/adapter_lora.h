#pragma once

// The low-rank additions (LoRA, Hu et al. 2021) of an adapter file: tensors `lora.LAYER.NAME.a` and
// `.b`, NAME being q, k, v, o or down. What scales the product is part of `b`.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/retriever/adapter_tensors.h"

namespace dsrasq::retriever {

/// y += b (a x) beside a linear layer from `in` to `out` features; undefined where there is none.
struct LowRank {
  at::Tensor a;  ///< `[rank, in]`
  at::Tensor b;  ///< `[out, rank]`
  bool defined() const { return a.defined(); }
};

/// Of one layer.
struct LoraParameters {
  LowRank q, k, v, o, down;

  /// Every part with its name in the file.
  template <class Visit>
  void visit(Visit&& visit) {
    visit("q", q), visit("k", k), visit("v", v), visit("o", o), visit("down", down);
  }
};

using LoraByLayer = std::map<int64_t, LoraParameters>;

/// Throws kBadInput naming the file and the tensor that is missing beside its partner, has another
/// rank or width than it needs, or holds no number. `n_embd` is the model's width.
LoraByLayer read_lora(const formats::SafetensorsFile& file, int64_t n_layers, int64_t n_embd);

void add_lora(const LoraByLayer& lora, const std::filesystem::path& path, HalfTensors& tensors);

}  // namespace dsrasq::retriever
