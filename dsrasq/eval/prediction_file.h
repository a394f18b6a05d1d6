#pragma once

// Answers kept as they come, so that a run that was stopped goes on where it was.

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace dsrasq::eval {

/// A .jsonl file with one object a line, found again by some of their string members.
class PredictionFile {
 public:
  /// Opens or makes the file; an empty path keeps nothing. A last line without an end is cut off:
  /// writing it was stopped. Throws kBadInput naming the file and line that is no such object,
  /// kOutput when the file cannot be written or is no regular one.
  PredictionFile(const std::filesystem::path& path, std::vector<std::string> keys);
  ~PredictionFile();
  PredictionFile(const PredictionFile&) = delete;
  PredictionFile& operator=(const PredictionFile&) = delete;

  struct Line {
    const nlohmann::ordered_json* fields = nullptr;  ///< null when there is none
    int64_t number = 0;                              ///< from 1
  };
  /// The first line of the file, as it was opened, with these values of the keys.
  Line find(const std::vector<std::string>& values) const;

  /// Writes one line at the end, whole. Throws kOutput.
  void append(const nlohmann::ordered_json& line);

  const std::string& name() const { return name_; }

 private:
  void read_lines(const std::string& text);
  [[noreturn]] void fail(const char* what) const;

  std::string name_;
  std::vector<std::string> keys_;
  int fd_ = -1;
  std::vector<nlohmann::ordered_json> lines_;
  std::map<std::vector<std::string>, int64_t> places_;  ///< line numbers by values of the keys
};

}  // namespace dsrasq::eval
