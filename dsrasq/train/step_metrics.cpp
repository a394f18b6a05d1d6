#include "dsrasq/train/step_metrics.h"

#include <ATen/Functions.h>

#include <cmath>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/train/training_loop.h"

namespace dsrasq::train {

void StepMetrics::begin_step() {
  if (waiting_.empty()) last_read_ = Clock::now();
}

// Every step's loss is looked at, so the first bad one is named.
void StepMetrics::settle(int64_t steps_done, int64_t first_step,
                         const std::function<std::string()>& last_checkpoint) {
  if (waiting_.empty()) return;
  const at::Tensor host = at::stack(waiting_).to(at::kCPU, at::kFloat).contiguous();
  const auto n = static_cast<int64_t>(waiting_.size());
  const auto n_metrics = static_cast<size_t>(host.size(1));
  if (means_.size() != n_metrics) {  // of another stage
    means_.clear();
    measured_ = measured_seconds_ = 0;
  }
  const float* values = host.const_data_ptr<float>();
  for (int64_t i = 0; i < n; ++i, values += n_metrics) {
    DSRASQ_CHECK(std::isfinite(values[0]), kStopped, where_, "step ", steps_done - n + i,
                 ": the loss is ", values[0], "; ", last_checkpoint());
    if (means_.empty()) {
      means_.assign(values, values + n_metrics);
      if (stored_loss_) means_[0] = *std::exchange(stored_loss_, std::nullopt);
    }
    for (size_t m = 0; m < n_metrics; ++m) means_[m] += (1 - kLossDecay) * (values[m] - means_[m]);
  }
  waiting_.clear();
  const double seconds = seconds_since(last_read_);
  all_seconds_ += seconds;
  if (steps_done - n > first_step)
    measured_seconds_ += seconds, measured_ += static_cast<double>(n);
}

}  // namespace dsrasq::train
