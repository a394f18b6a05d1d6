#pragma once

// Where the time of training steps goes.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace dsrasq::train {

/// Watches the steps [kFirst, kFirst + kSteps) of a process (the first ones allocate memory and
/// choose algorithms) and writes what ran in them as JSON:
///   steps, wall_seconds,
///   entries: {name, seconds, calls} of operators without those that they call, longest first.
/// On a GPU the seconds are those of the launches; with CUDA_LAUNCH_BLOCKING=1 in the environment,
/// which slows the steps down, those of the kernels too.
class StepProfile {
 public:
  static constexpr int64_t kFirst = 3, kSteps = 2;

  /// An empty path: nothing is watched.
  StepProfile(std::filesystem::path path, at::Device device);
  ~StepProfile();
  StepProfile(const StepProfile&) = delete;
  StepProfile& operator=(const StepProfile&) = delete;

  /// Called around every step, the `step`th of this process, from one training at a time.
  /// Throws kOutput naming the path.
  void begin(int64_t step);
  void end(int64_t step);

 private:
  double now() const;
  void stop();

  std::filesystem::path path_;
  at::Device device_;
  double started_ = 0;  // seconds
  uint64_t watch_ = 0;  // a handle; 0: none
};

}  // namespace dsrasq::train
