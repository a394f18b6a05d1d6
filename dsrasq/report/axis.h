#pragma once

// From values to places along an axis, and where its ticks stand.

#include <string>
#include <vector>

namespace dsrasq::report {

/// What an axis counts; says how its ticks are written and, where it is logarithmic, their base.
enum class Unit { kNumber, kTokens, kBytes, kShare, kPercent };

struct Axis {
  double low = 0, high = 1;
  bool is_log = false;
  Unit unit = Unit::kNumber;
  std::vector<double> ticks;

  /// 0 at `low`, 1 at `high`.
  double place(double value) const;
};

/// Covers both values, with about `n_ticks` ticks at steps of 1, 2 or 5 times a power of ten. It
/// ends at a tick, or just beyond the values where the next tick is far. Equal values get some
/// room.
Axis linear_axis(double low, double high, int n_ticks, Unit unit);

/// Covers both values, which must be positive, and at least a factor of four, so that small
/// differences do not look large. At most `n_ticks` ticks: powers of two for tokens and bytes, else
/// 1, 2 and 5 times powers of ten, or powers of ten alone.
Axis log_axis(double low, double high, int n_ticks, Unit unit);

/// A tick as it is written: "8,192", "256 MiB", "40 %", "0.05".
std::string tick_text(const Axis& axis, double tick);

}  // namespace dsrasq::report
