#include "dsrasq/eval/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace dsrasq::eval {
namespace {

// The 97.5 % quantile of Student's t: tabled, and beyond by the first terms of its expansion about
// the normal one (Abramowitz and Stegun 26.7.5).
double student_t(size_t freedom) {
  constexpr std::array kTable = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060,
                                 2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199,
                                 2.1098,  2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
                                 2.0595,  2.0555, 2.0518, 2.0484, 2.0452, 2.0423};
  if (freedom <= kTable.size()) return kTable[freedom - 1];
  constexpr double kZ = 1.959963984540054;
  const auto n = static_cast<double>(freedom);
  return kZ + (std::pow(kZ, 3) + kZ) / (4 * n) +
         (5 * std::pow(kZ, 5) + 16 * std::pow(kZ, 3) + 3 * kZ) / (96 * n * n);
}

}  // namespace

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
  return bootstrap_groups(
      {n_samples}, [&](std::span<const std::vector<size_t>> drawn) { return figure(drawn[0]); },
      n_resamples);
}

Interval bootstrap_groups(const std::vector<size_t>& sizes,
                          const std::function<double(std::span<const std::vector<size_t>>)>& figure,
                          int64_t n_resamples) {
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) return {};
  std::mt19937_64 random(20240229);
  std::vector<double> values(static_cast<size_t>(n_resamples));
  std::vector<std::vector<size_t>> drawn;
  for (const size_t size : sizes) drawn.emplace_back(size);
  for (double& value : values) {
    for (std::vector<size_t>& group : drawn)
      for (size_t& sample : group) sample = random_below(random, group.size());
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
  return fitted_power(x, y).exponent;
}

PowerFit fitted_power(std::span<const double> x, std::span<const double> y) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  PowerFit fit{.exponent = kNone, .interval = {kNone, kNone}};
  std::vector<double> log_x, log_y;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!(x[i] > 0) || !(y[i] > 0)) return fit;
    log_x.push_back(std::log(x[i]));
    log_y.push_back(std::log(y[i]));
  }
  const double mean_x = mean(log_x), mean_y = mean(log_y);
  double covariance = 0, variance = 0;
  for (size_t i = 0; i < log_x.size(); ++i) {
    covariance += (log_x[i] - mean_x) * (log_y[i] - mean_y);
    variance += (log_x[i] - mean_x) * (log_x[i] - mean_x);
  }
  if (!(variance > 0)) return fit;
  fit.exponent = covariance / variance;
  if (log_x.size() < 3) return fit;
  double rest = 0;
  for (size_t i = 0; i < log_x.size(); ++i)
    rest += std::pow(log_y[i] - mean_y - fit.exponent * (log_x[i] - mean_x), 2);
  const size_t freedom = log_x.size() - 2;
  const double reach =
      student_t(freedom) * std::sqrt(rest / static_cast<double>(freedom) / variance);
  fit.interval = {fit.exponent - reach, fit.exponent + reach};
  return fit;
}

}  // namespace dsrasq::eval
