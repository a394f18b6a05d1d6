#pragma once

// Benchmarks in their official file formats, as samples of one kind.

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/data/task_sample.h"
#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

/// All formats by name, for --help.
std::string task_format_names();

/// Whether a format has that name.
bool is_task_format(std::string_view name);

/// The format of that name. Throws kInvalidArgument listing the names.
TaskFormat parse_task_format(std::string_view name);

/// The format of a file by its first record. Throws kBadInput naming the file, and the fields that
/// were found, when it is none of those that can be read.
TaskFormat detect_task_format(const std::filesystem::path& path);

class SampleSource;

/// Reads files in order, one sample at a time. A folder stands for its `.json` and `.jsonl` files
/// (also `.xz`, `.gz`) in the order of their names. A sample without a task of its own gets the
/// file's name, or the folder's where that is only "test", "validation" and the like (RULER); one
/// without an id gets the number of its record.
class TaskReader {
 public:
  /// `format` is a name or "auto": each file by its content. Throws kInvalidArgument when there is
  /// no file or `format` is unknown, kBadInput when a file cannot be read or its format not found.
  TaskReader(const std::vector<std::string>& paths, const std::string& format,
             const ReadOptions& options = {});
  ~TaskReader();

  /// The next sample; nothing at the end. It has something to read, and references or options.
  /// Throws kBadInput naming the file, the record or line and the field that is wrong; a sample
  /// that is there twice; and a file without samples.
  [[nodiscard]] std::optional<TaskSample> next();

 private:
  struct File {
    std::vector<std::filesystem::path> paths;  ///< more than one only of translations
    TaskFormat format{};
  };
  void open_next();
  void complete(TaskSample& sample);

  std::vector<File> files_;
  ReadOptions options_;
  size_t n_opened_ = 0;
  std::unique_ptr<SampleSource> source_;                ///< of file n_opened_ - 1
  int64_t n_samples_ = 0;                               ///< of that file
  std::set<std::pair<std::string, std::string>> seen_;  ///< task, id
};

}  // namespace dsrasq::data
