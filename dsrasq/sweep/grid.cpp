#include "dsrasq/sweep/grid.h"

#include <algorithm>

#include "dsrasq/core/error.h"

namespace dsrasq::sweep {
namespace {

constexpr const char* kInGrid = "sweep.grid";

// As short as possible, and different values differently.
std::string text_of(const Json& value) {
  std::string text = value.dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

void check_axis(const Axis& axis) {
  DSRASQ_CHECK(!axis.values.empty(), kInvalidArgument, kInGrid, "--", axis.option,
               " has no value, want a list");
  for (auto value = axis.values.begin(); value != axis.values.end(); ++value)
    DSRASQ_CHECK(std::count(axis.values.begin(), value, *value) == 0, kInvalidArgument, kInGrid,
                 "--", axis.option, " holds ", text_of(*value), " twice");
}

}  // namespace

std::vector<GridPoint> grid_points(const std::vector<Axis>& axes) {
  std::vector<GridPoint> points{{"", Json::object()}};
  for (const Axis& axis : axes) {
    check_axis(axis);
    std::vector<GridPoint> longer;
    for (const GridPoint& point : points)
      for (const Json& value : axis.values) {
        longer.push_back(point);
        std::string& name = longer.back().name;
        if (!axis.mark.empty()) name += concat(name.empty() ? "" : "-", axis.mark, text_of(value));
        longer.back().values[axis.option] = value;
      }
    points = std::move(longer);
  }
  return points;
}

}  // namespace dsrasq::sweep
