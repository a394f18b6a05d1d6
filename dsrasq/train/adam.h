#pragma once

// Adam (Kingma and Ba 2015, algorithm 1) over one matrix that holds every parameter, a row for each
// independent part, and the learning-rate schedule.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dsrasq::train {

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-8;
  double clip = 1;          ///< largest gradient norm of a row; 0: no clipping
  double weight_decay = 0;  ///< decoupled (Loshchilov and Hutter 2019)
};

/// Moments of `parameters` `[L, P]`, zero at first, on its device.
struct AdamState {
  explicit AdamState(const at::Tensor& parameters);

  at::Tensor first, second;  ///< `[L, P]`
  int64_t steps = 0;
};

/// L2 norms of the rows `[L]`.
at::Tensor row_norms(const at::Tensor& gradient);

/// One step down `gradient` `[L, P]`, whose `norms` `[L]` clip each row by itself.
void adam_step(at::Tensor& parameters, const at::Tensor& gradient, const at::Tensor& norms,
               double learning_rate, const AdamOptions& options, AdamState& state);

/// Linear from 0 over `warmup` steps, then a cosine from `peak` to 2 % of it at `steps`.
double learning_rate(int64_t step, int64_t steps, int64_t warmup, double peak);

}  // namespace dsrasq::train
