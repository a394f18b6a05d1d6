#include "dsrasq/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace dsrasq::eval {

double mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::span<const double> values) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

Interval bootstrap_mean(std::span<const double> values, int64_t n_resamples) {
  if (values.empty()) return {};
  std::mt19937_64 random(20240229);
  std::vector<double> means(static_cast<size_t>(n_resamples));
  std::vector<double> resample(values.size());
  for (double& m : means) {
    for (double& value : resample) value = values[random_below(random, values.size())];
    m = mean(resample);
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) {
    return means[static_cast<size_t>(share * static_cast<double>(means.size() - 1))];
  };
  return {at(0.025), at(0.975)};
}

Interval wilson(int64_t n_successes, int64_t n) {
  if (n <= 0) return {0, 1};
  constexpr double kZ = 1.959963984540054;
  const double count = static_cast<double>(n);
  const double share = static_cast<double>(n_successes) / count;
  const double shrink = 1 / (1 + kZ * kZ / count);
  const double centre = (share + kZ * kZ / (2 * count)) * shrink;
  const double reach =
      kZ * shrink * std::sqrt(share * (1 - share) / count + kZ * kZ / (4 * count * count));
  return {std::max(0.0, centre - reach), std::min(1.0, centre + reach)};
}

double fitted_exponent(std::span<const double> x, std::span<const double> y) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> log_x, log_y;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!(x[i] > 0) || !(y[i] > 0)) return kNone;
    log_x.push_back(std::log(x[i]));
    log_y.push_back(std::log(y[i]));
  }
  const double mean_x = mean(log_x), mean_y = mean(log_y);
  double covariance = 0, variance = 0;
  for (size_t i = 0; i < log_x.size(); ++i) {
    covariance += (log_x[i] - mean_x) * (log_y[i] - mean_y);
    variance += (log_x[i] - mean_x) * (log_x[i] - mean_x);
  }
  return variance > 0 ? covariance / variance : kNone;
}

}  // namespace dsrasq::eval
