#pragma once

// The budget heads of an adapter file: fp16 tensors `retriever.LAYER.budget.weight` and `.bias`,
// where the number of tokens to retrieve was trained by policy gradient (design 4.1, step 2).

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <set>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/retriever/adapter_tensors.h"

namespace dsrasq::retriever {

/// How many tokens a query can be given.
constexpr std::array<int64_t, 9> kBudgetSizes{0, 2, 4, 8, 16, 32, 64, 128, 256};
/// Beside a layer's input a head sees log shares: of what stays local, and of the best 1, 2, 4, 8,
/// 16, 32, 64, 128 and 256 candidates.
constexpr int64_t kBudgetFeatures = 1 + static_cast<int64_t>(kBudgetSizes.size());

/// Of one layer: logits of the sizes are `weight [x / rms(x); features] + bias`.
struct BudgetParameters {
  at::Tensor weight;  ///< `[n_sizes, E + kBudgetFeatures]`
  at::Tensor bias;    ///< `[n_sizes]`

  /// Every tensor with its name in the file, e.g. "weight".
  template <class Visit>
  void visit(Visit&& visit) {
    visit("weight", weight), visit("bias", bias);
  }
  /// Blind to its input, with a slight preference for 64 tokens.
  static BudgetParameters fresh(int64_t n_embd);
};

using BudgetByLayer = std::map<int64_t, BudgetParameters>;

/// The heads of those of the layers that have one. Throws kBadInput naming the file and the tensor
/// that is missing beside its partner, has another shape or holds no number.
BudgetByLayer read_budgets(const formats::SafetensorsFile& file, const std::set<int64_t>& layers,
                           int64_t n_embd);

void add_budgets(const BudgetByLayer& budgets, const std::filesystem::path& path,
                 HalfTensors& tensors);

}  // namespace dsrasq::retriever
