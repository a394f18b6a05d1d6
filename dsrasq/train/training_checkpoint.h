#pragma once

// Where a training stands, on disk: enough to go on exactly as if it had never stopped.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/train/adam.h"

namespace dsrasq::train {

/// JSON in one line. What is no UTF-8 (a file's name need not be) becomes U+FFFD.
std::string as_text(const nlohmann::json& value);

/// Random numbers are a function of seed and step, so there is no generator's state to keep.
struct TrainingState {
  int64_t step = 0;                            ///< steps done
  int64_t steps = 0;                           ///< in all
  double seconds = 0;                          ///< spent so far
  double loss = 0;                             ///< running mean
  std::string identity;                        ///< of base model and data
  std::map<std::string, std::string> options;  ///< those that change the result, as text
  at::Tensor parameters;                       ///< `[L, P]`
  at::Tensor first, second;                    ///< Adam's moments `[L, P]`
};

/// Checkpoints of one run: checkpoint-NNNNNNNN.safetensors in a folder, the newest few of them.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder, int64_t keep = 2)
      : folder_(std::move(folder)), keep_(keep) {}

  /// Writes one, whole or not at all, then removes the oldest beyond `keep`. Throws kOutput.
  void save(const TrainingState& state) const;
  /// The newest that can be read, on the CPU; a damaged one is reported in the log and passed over.
  std::optional<TrainingState> load() const;
  const std::filesystem::path& path() const { return folder_; }

 private:
  std::vector<std::filesystem::path> files() const;  // oldest first

  std::filesystem::path folder_;
  int64_t keep_;
};

/// Throws kInvalidArgument naming the first option that differs, with both values.
void check_same_run(const TrainingState& stored, const TrainingState& wanted,
                    const std::filesystem::path& folder);

}  // namespace dsrasq::train
