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

double percentile(std::span<const double> values, double percent) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (place - std::floor(place)) * (sorted[below + 1] - sorted[below]);
}

Interval bootstrap(size_t n_samples, const std::function<double(std::span<const size_t>)>& figure,
                   int64_t n_resamples) {
  if (n_samples == 0) return {};
  std::mt19937_64 random(20240229);
  std::vector<double> values(static_cast<size_t>(n_resamples));
  std::vector<size_t> drawn(n_samples);
  for (double& value : values) {
    for (size_t& sample : drawn) sample = random_below(random, n_samples);
    value = figure(drawn);
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {at(0.025), at(0.975)};
}

Interval bootstrap_mean(std::span<const double> values, int64_t n_resamples) {
  const auto mean_of = [&](std::span<const size_t> drawn) {
    const double sum = std::accumulate(drawn.begin(), drawn.end(), 0.0,
                                       [&](double s, size_t i) { return s + values[i]; });
    return sum / static_cast<double>(drawn.size());
  };
  return bootstrap(values.size(), mean_of, n_resamples);
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
