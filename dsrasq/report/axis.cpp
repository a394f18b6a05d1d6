#include "dsrasq/report/axis.h"

#include <algorithm>
#include <cmath>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"

namespace dsrasq::report {
namespace {

constexpr const char* kWhere = "report.axis";
constexpr double kLeastLogRatio = 4;
constexpr double kLogMargin = 0.06;        // of the axis, on each side
constexpr double kLeastDifference = 1e-9;  // of the values
// In steps: how far a tick may stand beyond the values, and what they get where it would be
// farther.
constexpr double kMostRoom = 0.5, kRoom = 0.15;

// The smallest of 1, 2, 5 times a power of ten that is not below `value`.
double nice_step(double value) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= value * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

// From `first` to `last`, every `stride`-th power of the base.
std::vector<double> powers(double base, int first, int last, int stride) {
  std::vector<double> out;
  const int start = first + ((-first % stride) + stride) % stride;
  for (int power = start; power <= last; power += stride) out.push_back(std::pow(base, power));
  return out;
}

std::vector<double> power_ticks(double base, double low, double high, int n_ticks) {
  const int first = static_cast<int>(std::ceil(std::log(low) / std::log(base) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log(high) / std::log(base) + 1e-9));
  int stride = 1;
  while ((last - first) / stride + 1 > n_ticks) ++stride;
  return powers(base, first, last, stride);
}

// 1, 2 and 5 times powers of ten where they are few, powers of ten where they are not.
std::vector<double> decimal_ticks(double low, double high, int n_ticks) {
  std::vector<double> ticks;
  for (int power = static_cast<int>(std::floor(std::log10(low))); std::pow(10, power) <= high;
       ++power)
    for (const double factor : {1.0, 2.0, 5.0})
      if (const double tick = factor * std::pow(10, power); tick >= low && tick <= high)
        ticks.push_back(tick);
  return static_cast<int>(ticks.size()) <= n_ticks ? ticks : power_ticks(10, low, high, n_ticks);
}

// As few decimals as tell neighbouring ticks apart.
int decimals_of(const Axis& axis, double scale) {
  double step = std::abs(axis.ticks.empty() ? axis.high : axis.ticks.front()) * scale;
  for (size_t i = 1; i < axis.ticks.size(); ++i)
    step =
        std::min(step > 0 ? step : scale * axis.high, scale * (axis.ticks[i] - axis.ticks[i - 1]));
  return step > 0 ? std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9) : 0;
}

// A tick of a logarithmic axis: "5e14".
std::string scientific(double tick) {
  const int exponent = static_cast<int>(std::floor(std::log10(tick) + 1e-9));
  return concat(rounded(tick / std::pow(10, exponent)), 'e', exponent);
}

}  // namespace

double Axis::place(double value) const {
  if (is_log) return std::log(value / low) / std::log(high / low);
  return (value - low) / (high - low);
}

Axis linear_axis(double low, double high, int n_ticks, Unit unit) {
  DSRASQ_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high, kInternal, kWhere,
               "an axis from ", low, " to ", high);
  // Also what differs by rounding: ticks between could not be told apart.
  const double largest = std::max(std::abs(low), std::abs(high));
  if (high - low <= kLeastDifference * largest) {
    const double room = largest == 0 ? 1 : largest / 10;
    low -= room, high += room;
  }
  const double step = nice_step((high - low) / std::max(n_ticks - 1, 1));
  double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  Axis axis{.low = first * step, .high = last * step, .unit = unit, .ticks = {}};
  if (low - axis.low > kMostRoom * step) axis.low = low - kRoom * step, ++first;
  if (axis.high - high > kMostRoom * step) axis.high = high + kRoom * step, --last;
  for (double i = first; i <= last; ++i) axis.ticks.push_back(i * step);
  return axis;
}

Axis log_axis(double low, double high, int n_ticks, Unit unit) {
  DSRASQ_CHECK(low > 0 && std::isfinite(high) && low <= high, kInternal, kWhere,
               "a logarithmic axis from ", low, " to ", high);
  const double spread = std::max(high / low, kLeastLogRatio) / (high / low);
  const double margin = std::pow(std::max(high / low, kLeastLogRatio), kLogMargin);
  Axis axis{.low = low / std::sqrt(spread) / margin,
            .high = high * std::sqrt(spread) * margin,
            .is_log = true,
            .unit = unit,
            .ticks = {}};
  const bool is_binary = unit == Unit::kTokens || unit == Unit::kBytes;
  axis.ticks = is_binary ? power_ticks(2, axis.low, axis.high, n_ticks)
                         : decimal_ticks(axis.low, axis.high, n_ticks);
  return axis;
}

std::string tick_text(const Axis& axis, double tick) {
  constexpr double kKiB = 1 << 10, kMiB = 1 << 20, kGiB = 1 << 30, kTiB = 1024 * kGiB;
  constexpr double kLong = 1e7;  // as digits
  switch (axis.unit) {
    case Unit::kTokens: return fixed(tick, decimals_of(axis, 1));
    case Unit::kShare: return fixed(100 * tick, decimals_of(axis, 100)) + " %";
    case Unit::kPercent: return with_sign(tick, decimals_of(axis, 1)) + " %";
    case Unit::kBytes:
      if (tick >= kTiB) return rounded(tick / kTiB) + " TiB";
      if (tick > 0 && tick < kMiB) return rounded(tick / kKiB) + " KiB";
      return tick >= kGiB ? rounded(tick / kGiB) + " GiB" : rounded(tick / kMiB) + " MiB";
    case Unit::kNumber: break;
  }
  if (axis.is_log && tick >= kLong) return scientific(tick);
  return axis.is_log ? rounded(tick) : fixed(tick, decimals_of(axis, 1));
}

}  // namespace dsrasq::report
