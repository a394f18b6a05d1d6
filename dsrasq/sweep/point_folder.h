#pragma once

// What the files of a point say about how far it is: the only memory that a sweep has.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

#include "dsrasq/sweep/point.h"

namespace dsrasq::sweep {

class PointFolder {
 public:
  /// Both must outlive it. Touches nothing.
  PointFolder(const std::filesystem::path& sweep_folder, const Point& point);

  /// The stage to go on with, or their number when all are done. A stage whose files are gone is
  /// done again where a later one needs them.
  size_t next_stage() const;
  bool is_finished() const { return next_stage() == point_.stages.size(); }
  /// The result of a stage that is done.
  std::optional<nlohmann::json> result(const std::string& stage) const;
  /// Why the point failed when it was last tried.
  std::optional<std::string> failure() const;

  /// Where the process of a stage writes what it prints, and what it says beside that.
  std::filesystem::path output(const Stage& stage) const { return path(stage.name + ".json.new"); }
  std::filesystem::path log(const Stage& stage) const { return path(stage.name + ".log"); }

  /// Makes the folder; forgets a failure, and the results of this stage and the later ones. Throws
  /// kOutput.
  void begin(size_t stage) const;
  /// Whether the process of a stage did its work, whose result is kept then; what it said of its
  /// failure is kept otherwise. Throws kOutput.
  bool keep(const Stage& stage, int exit_status) const;
  /// Removes what is needed no more.
  void clear_scratch() const;

 private:
  std::filesystem::path path(const std::string& name) const { return folder_ / name; }
  std::filesystem::path result_path(const std::string& stage) const {
    return path(stage + ".json");
  }
  std::string failure_of(const Stage& stage, int exit_status) const;

  const std::filesystem::path folder_;
  const Point& point_;
};

}  // namespace dsrasq::sweep
