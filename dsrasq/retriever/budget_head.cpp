#include "dsrasq/retriever/budget_head.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace dsrasq::retriever {
namespace {

constexpr double kLeastMass = 1e-9;

std::vector<float> values_of(const at::Tensor& t) {
  const at::Tensor flat = t.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* data = flat.const_data_ptr<float>();
  return {data, data + flat.numel()};
}

float log_of_mass(double mass) { return static_cast<float>(std::log(std::max(mass, kLeastMass))); }

}  // namespace

at::Tensor budget_features(const at::Tensor& best, const at::Tensor& local) {
  const at::NoGradGuard no_grad;
  const at::Tensor mass = best.exp().cumsum(1);
  std::vector<at::Tensor> columns{local.exp()};
  for (const int64_t size : kBudgetSizes)
    columns.push_back(mass.narrow(1, std::clamp<int64_t>(size, 1, best.size(1)) - 1, 1));
  return at::cat(columns, 1).clamp_min_(kLeastMass).log_();
}

at::Tensor budget_logits(const BudgetParameters& head, const at::Tensor& x,
                         const at::Tensor& features) {
  const int64_t width = x.size(1);
  const at::Tensor of_x = head.weight.narrow(1, 0, width);
  const at::Tensor of_features = head.weight.narrow(1, width, features.size(1));
  // Models differ in the size of x by a factor of 50; one learning rate should do for all.
  const at::Tensor x_wide = x.to(of_x.scalar_type());
  const at::Tensor unit = x_wide * (x_wide.square().mean({1}, true) + kLeastMass).rsqrt();
  return at::linear(unit, of_x) +
         at::linear(features.to(of_x.scalar_type()), of_features, head.bias);
}

BudgetHead::BudgetHead(const BudgetParameters& parameters)
    : n_embd_(static_cast<size_t>(parameters.weight.size(1) - kBudgetFeatures)),
      weight_(values_of(parameters.weight)),
      bias_(values_of(parameters.bias)) {}

// Parts the candidates at every size from the largest down, so that none is fully sorted.
std::array<float, kBudgetFeatures> BudgetHead::features(std::span<float> best, float local) const {
  const auto part_at = [&best](size_t size, size_t end) {
    if (size > 0 && size < end)
      std::nth_element(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(size) - 1,
                       best.begin() + static_cast<std::ptrdiff_t>(end), std::greater<>());
  };
  const auto count = [&best](int64_t size) {
    return std::clamp<size_t>(static_cast<size_t>(size), 1, best.size());
  };
  std::array<double, kBudgetSizes.size()> mass{};  // of those that a size adds to the one below
  size_t end = count(kBudgetSizes.back());
  part_at(end, best.size());
  for (size_t s = kBudgetSizes.size(); s-- > 0;) {
    const size_t begin = s == 0 ? 0 : count(kBudgetSizes[s - 1]);
    part_at(begin, end);
    for (size_t i = begin; i < end; ++i) mass[s] += std::exp(static_cast<double>(best[i]));
    end = begin;
  }
  std::array<float, kBudgetFeatures> features{};
  features[0] = log_of_mass(std::exp(static_cast<double>(local)));
  double total = 0;
  for (size_t s = 0; s < mass.size(); ++s) features[s + 1] = log_of_mass(total += mass[s]);
  return features;
}

int64_t BudgetHead::size(const float* x, std::span<float> best, float local) const {
  if (best.empty()) return 0;
  const std::array<float, kBudgetFeatures> seen = features(best, local);
  double square = 0;
  for (size_t e = 0; e < n_embd_; ++e) square += static_cast<double>(x[e]) * x[e];
  const double to_unit = 1 / std::sqrt(square / static_cast<double>(n_embd_) + kLeastMass);
  size_t chosen = 0;
  double highest = 0;
  const float* weight = weight_.data();
  for (size_t s = 0; s < kBudgetSizes.size(); ++s, weight += n_embd_ + kBudgetFeatures) {
    double of_x = 0, logit = bias_[s];
    for (size_t e = 0; e < n_embd_; ++e) of_x += static_cast<double>(weight[e]) * x[e];
    for (size_t f = 0; f < seen.size(); ++f)
      logit += static_cast<double>(weight[n_embd_ + f]) * seen[f];
    logit += of_x * to_unit;
    if (s == 0 || logit > highest) chosen = s, highest = logit;
  }
  return kBudgetSizes[chosen];
}

}  // namespace dsrasq::retriever
