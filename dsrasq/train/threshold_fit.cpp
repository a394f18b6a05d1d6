#include "dsrasq/train/threshold_fit.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>

namespace dsrasq::train {
namespace {

constexpr int64_t kGrid = 121;
constexpr double kLowest = -12, kHighest = 0;  // of the thresholds, logs of shares
constexpr int kPriceSteps = 40;
constexpr double kLowestPrice = -30, kHighestPrice = 0;  // logs

double threshold_at(int64_t i) {
  return kLowest + (kHighest - kLowest) * static_cast<double>(i) / (kGrid - 1);
}

}  // namespace

void ThresholdFit::add(int64_t layer, const LayerCosts& costs) {
  const at::Tensor grid = at::linspace(kLowest, kHighest, kGrid, costs.log_share.options())
                              .unsqueeze(0)
                              .expand({costs.log_share.size(0), -1})
                              .contiguous();
  // Shares fall along a row: as many lie above a threshold as come before its place among them.
  const at::Tensor sizes = at::searchsorted(costs.log_share.neg().contiguous(), -grid);
  Sums& sums = layers_[layer];
  const at::Tensor cost = costs.costs.mean(0).gather(1, sizes).sum(0).to(at::kCPU, at::kDouble);
  const at::Tensor size = sizes.sum(0).to(at::kCPU, at::kDouble);
  sums.cost = sums.rows == 0 ? cost : sums.cost + cost;
  sums.size = sums.rows == 0 ? size : sums.size + size;
  sums.rows += static_cast<double>(sizes.size(0));
}

ThresholdFit::Fitted ThresholdFit::fitted(double price) const {
  Fitted fitted;
  for (const auto& [layer, sums] : layers_) {
    const auto best = (sums.cost + sums.size * price).argmin().item<int64_t>();
    fitted.thresholds[layer] = static_cast<float>(threshold_at(best));
    fitted.cost += sums.cost[best].item<double>() / sums.rows;
    fitted.size += sums.size[best].item<double>() / sums.rows / static_cast<double>(layers_.size());
  }
  return fitted;
}

ThresholdFit::Fitted ThresholdFit::fitted_to(double mean_size) const {
  double low = kLowestPrice, high = kHighestPrice;
  for (int i = 0; i < kPriceSteps; ++i) {
    const double middle = (low + high) / 2;
    (fitted(std::exp(middle)).size > mean_size ? low : high) = middle;
  }
  const Fitted more = fitted(std::exp(low)), fewer = fitted(std::exp(high));
  return more.size - mean_size < mean_size - fewer.size ? more : fewer;
}

}  // namespace dsrasq::train
