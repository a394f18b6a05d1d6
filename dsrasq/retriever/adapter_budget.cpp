#include "dsrasq/retriever/adapter_budget.h"

#include <ATen/Functions.h>

#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq::retriever {
namespace {

constexpr auto kSizes = static_cast<int64_t>(kBudgetSizes.size());

std::string budget_tensor(int64_t layer, const char* name) {
  return concat("retriever.", layer, ".budget.", name);
}

}  // namespace

BudgetParameters BudgetParameters::fresh(int64_t n_embd) {
  return {.weight = at::zeros({kSizes, n_embd + kBudgetFeatures}),
          .bias = at::tensor({-1.0f, -0.75f, -0.5f, -0.25f, 0.0f, 0.4f, 0.5f, 0.0f, -0.5f})};
}

BudgetByLayer read_budgets(const formats::SafetensorsFile& file, const std::set<int64_t>& layers,
                           int64_t n_embd) {
  BudgetByLayer budgets;
  for (const int64_t layer : layers) {
    if (!file.find(budget_tensor(layer, "weight")) && !file.find(tensor_name(layer, "bias")))
      continue;
    budgets[layer].weight =
        read_tensor(file, budget_tensor(layer, "weight"), {kSizes, n_embd + kBudgetFeatures});
    budgets[layer].bias = read_tensor(file, budget_tensor(layer, "bias"), {kSizes});
  }
  return budgets;
}

void add_budgets(const BudgetByLayer& budgets, const std::filesystem::path& path,
                 HalfTensors& tensors) {
  for (auto [layer, budget] : budgets)
    budget.visit([&, layer = layer](const char* name, const at::Tensor& values) {
      tensors.add(budget_tensor(layer, name), values, path);
    });
}

}  // namespace dsrasq::retriever
