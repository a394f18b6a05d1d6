#pragma once

// What the plans of all trainings are made from.

#include <cstdint>
#include <functional>

#include "dsrasq/model/transformer.h"
#include "dsrasq/train/run_options.h"

namespace dsrasq::train {

/// One forward pass of the model over a short stretch, measured.
struct ForwardProbe {
  double tokens = 0, seconds = 0;
};
ForwardProbe probe_forward(const model::Transformer& model, const RunOptions& options);
/// The same by `forward`, of ids `[T]` below `vocab_size` to a tensor on the device.
ForwardProbe probe_forward(const std::function<at::Tensor(const at::Tensor& ids)>& forward,
                           int64_t vocab_size, const RunOptions& options);

/// Tokens of a stretch, on average and at the most.
double mean_length(const RunOptions& options);
int64_t longest_length(const RunOptions& options);

/// Of `--steps` steps, or the time budget.
double planned_seconds(const RunOptions& options, double step_seconds);

}  // namespace dsrasq::train
