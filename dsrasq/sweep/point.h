#pragma once

// What is done at one point of a sweep.

#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/sweep/grid.h"

namespace dsrasq::sweep {

/// One run of this program.
struct Stage {
  std::string name;                ///< its result is NAME.json, its stderr NAME.log
  std::vector<std::string> words;  ///< after the program
  std::vector<std::string> makes;  ///< files that later stages read
};

/// Names of files are those in its folder.
struct Point {
  std::string name;
  Json values;                       ///< of the options that vary
  Json options;                      ///< of each stage by its name, all of them
  std::vector<Stage> stages;         ///< one after the other
  std::vector<std::string> scratch;  ///< files and folders that go when all are done
};

/// Where a point of the sweep in `folder` keeps its files.
inline std::filesystem::path point_folder(const std::filesystem::path& folder,
                                          const std::string& name) {
  return folder / "points" / name;
}

}  // namespace dsrasq::sweep
