#pragma once

// Scalars for TensorBoard: an event file (TFRecord frames of hand-encoded protobuf messages), which
// every version of TensorBoard reads, with no library behind it.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dsrasq::train {

/// A TFRecord frame: length, masked CRC of it, data, masked CRC of the data.
std::string tfrecord_frame(std::string_view data);

using Scalar = std::pair<std::string, double>;

/// The Event message of some scalars at a step, as bytes.
std::string scalar_event(double wall_time, int64_t step, const std::vector<Scalar>& scalars);

/// One event file of one run. A resumed run opens another; TensorBoard joins those of a folder.
class EventLog {
 public:
  /// Creates `folder` and the file. Throws kOutput naming the path.
  explicit EventLog(const std::filesystem::path& folder);

  /// Appends and flushes.
  void add(int64_t step, const std::vector<Scalar>& scalars);
  const std::filesystem::path& path() const { return path_; }

 private:
  void write(const std::string& event);

  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace dsrasq::train
