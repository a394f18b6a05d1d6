#pragma once

// What the steps of a training report: running means and their speed, read from the device now and
// then, because reading is the only wait for it.

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dsrasq::train {

class StepMetrics {
 public:
  /// `where` names the training in errors; a literal.
  explicit StepMetrics(const char* where) : where_(where) {}

  /// The run goes on from a checkpoint with this running mean of the loss.
  void go_on_from(double loss) { stored_loss_ = loss; }
  /// Before a step's first computation.
  void begin_step();
  /// A step's metrics `[M]` on its device, the loss first. Another M than before begins new means.
  void add(const at::Tensor& metrics) { waiting_.push_back(metrics); }
  /// Waits for those added; `steps_done` includes them, `first_step` is where this process began.
  /// Throws kStopped naming the first step whose loss is no number, and what `last_checkpoint`
  /// says.
  void settle(int64_t steps_done, int64_t first_step,
              const std::function<std::string()>& last_checkpoint);

  /// Running means; empty until some are settled.
  const std::vector<double>& means() const { return means_; }
  double mean(int64_t metric) const {
    return means_.empty() ? 0 : means_[static_cast<size_t>(metric)];
  }
  /// The loss's, or the checkpoint's until there is one.
  double loss() const { return means_.empty() ? stored_loss_.value_or(0) : means_[0]; }
  /// Mean of the steps without this process's first ones; 0 while it is not known.
  double step_seconds() const { return measured_ == 0 ? 0 : measured_seconds_ / measured_; }
  /// Of all of this process's steps.
  double all_seconds() const { return all_seconds_; }

 private:
  using Clock = std::chrono::steady_clock;

  const char* where_;
  std::vector<at::Tensor> waiting_;
  std::vector<double> means_;
  std::optional<double> stored_loss_;
  Clock::time_point last_read_;
  double all_seconds_ = 0, measured_seconds_ = 0, measured_ = 0;  // the last: steps
};

}  // namespace dsrasq::train
