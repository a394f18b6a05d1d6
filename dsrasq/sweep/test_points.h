#pragma once

// Points whose program is a shell, in a folder of their own.

#include <string>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/sweep/point.h"

namespace dsrasq::sweep {

class PointTest : public FolderTest {
 protected:
  /// With the stages "first" and "second", shell scripts that run in the tests' folder; the
  /// first makes the file "made".
  Point point(const std::string& name, const std::string& first, const std::string& second) const {
    const auto words = [&](const std::string& script) {
      return std::vector<std::string>{
          "-c", concat("cd '", point_folder(folder_, name).string(), "'; ", script)};
    };
    return {.name = name,
            .values = {{"topk", 64}},
            .options = {{"first", {{"seed", 0}, {"script", first}}}},
            .stages = {{"first", words(first), {"made"}}, {"second", words(second), {}}},
            .scratch = {"made", "run"}};
  }
  std::string text(const std::string& name) const { return read_file(folder_ / name); }
  bool has(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
};

}  // namespace dsrasq::sweep
