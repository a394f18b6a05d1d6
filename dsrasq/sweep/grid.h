#pragma once

// The points of a grid: every value of one option with every value of the others.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dsrasq::sweep {

using Json = nlohmann::ordered_json;

/// An option that varies.
struct Axis {
  std::string option;  ///< "lambda-ret"; in results "lambda_ret"
  std::string mark;    ///< stands before a value in the names of points; empty: they have none
  std::vector<Json> values;
};

struct GridPoint {
  std::string name;  ///< "k64-r128-beta0.9": a folder's
  Json values;       ///< by option
};

/// The points, the last axis fastest. Throws kInvalidArgument naming the option whose list is empty
/// or holds a value twice.
std::vector<GridPoint> grid_points(const std::vector<Axis>& axes);

}  // namespace dsrasq::sweep
