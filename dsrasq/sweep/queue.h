#pragma once

// The processes that work on the points of a sweep, one point at a time each.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "dsrasq/sweep/point.h"

namespace dsrasq::sweep {

/// A place where one stage runs at a time: a GPU, a share of the cores.
struct Worker {
  std::string name;
  std::map<std::string, std::string> variables;  ///< of its processes' environment
};

struct SweepWork {
  std::filesystem::path program;  ///< gets the words of a stage
  std::filesystem::path folder;   ///< of the sweep, which is there
  std::vector<Worker> workers;
  std::function<void(const Point&, const Worker&)> started;
  std::function<void(const Point&)> ended;  ///< finished or failed
};

/// Works on all points that are not finished, those that failed before too; one that fails does not
/// stop the others. Throws kInterrupted after Ctrl-C, when the processes have been asked to stop
/// (and killed after half a minute); kUnavailable when another sweep is at work in the folder;
/// kOutput and kResourceExhausted as PointFolder and ChildProcess do, no process is left then.
void run_points(const std::vector<Point>& points, const SweepWork& work);

}  // namespace dsrasq::sweep
