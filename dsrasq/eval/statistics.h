#pragma once

// The few statistics that results are reported with.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <vector>

namespace dsrasq::eval {

/// A range that holds the true value with 95 % confidence.
struct Interval {
  double low = 0, high = 0;
};

/// 0 for no values.
double mean(std::span<const double> values);
/// Of an even number of values the mean of the middle two; 0 for none.
double median(std::span<const double> values);
/// Below it are `percent` percent of the values, from 0 to 100; linear between two values. 0 for
/// none.
double percentile(std::span<const double> values, double percent);

/// Percentile bootstrap of any figure of `n_samples` samples: `figure` gets the numbers of the
/// drawn samples, as many as there are, some of them several times; always the same draws. An empty
/// interval at 0 for no samples.
Interval bootstrap(size_t n_samples, const std::function<double(std::span<const size_t>)>& figure,
                   int64_t n_resamples = 10000);

/// The same where samples are of several groups, `sizes` of each: every group is drawn from by
/// itself, and `figure` gets the numbers drawn of each. An empty interval at 0 where a group has no
/// samples.
Interval bootstrap_groups(const std::vector<size_t>& sizes,
                          const std::function<double(std::span<const std::vector<size_t>>)>& figure,
                          int64_t n_resamples = 10000);

/// Percentile bootstrap of the mean: `n_resamples` draws with replacement, always the same ones.
/// One value gives an interval of no width.
Interval bootstrap_mean(std::span<const double> values, int64_t n_resamples = 10000);

/// Wilson's score interval for a share of `n` trials (Wilson 1927). `[0, 1]` for no trials.
Interval wilson(int64_t n_successes, int64_t n);

/// The exponent b of the best y = a x^b: least squares on the logarithms. NaN unless there are two
/// different x and all values are positive.
double fitted_exponent(std::span<const double> x, std::span<const double> y);

/// The exponent as above, with Student's t interval of the slope. The interval is NaN for fewer
/// than three points.
struct PowerFit {
  double exponent = 0;
  Interval interval;
};
PowerFit fitted_power(std::span<const double> x, std::span<const double> y);

/// A number below `n` (> 0), the same on every platform; std::uniform_int_distribution is not.
inline uint64_t random_below(std::mt19937_64& random, uint64_t n) { return random() % n; }

}  // namespace dsrasq::eval
