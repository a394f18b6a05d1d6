#pragma once

// From rewards to gradients (design 4.1, step 2): grad E[R] = E[(R - b) grad log pi(S | x)], the
// baseline b being a moving average or what the other samples got.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace dsrasq::train {

/// What the choices at a position are credited with: sum over h = 0 ... `horizon` of
/// `discount`^h times the reward h positions later. `rewards` `[n, T]` of n samples: `[n, T]`.
at::Tensor discounted_credit(const at::Tensor& rewards, int64_t horizon, double discount);

/// Each sample's credit `[n, T]` minus the mean of the others' at the same position; n at least 2.
at::Tensor leave_one_out(const at::Tensor& credits);

/// The mean credit of earlier steps as the baseline, the seeds' form.
class MovingAverageBaseline {
 public:
  /// `state` `[2]`, zeros at first, holds the decayed sum and its weight; it is written to, so that
  /// whoever keeps checkpoints can keep it. `decay` is below 1.
  MovingAverageBaseline(at::Tensor state, double decay) : state_(std::move(state)), decay_(decay) {}

  /// `credits` minus the baseline of the steps before, which then takes them in.
  at::Tensor advantage(const at::Tensor& credits);
  at::Tensor value() const;  ///< scalar; 0 before the first step

 private:
  at::Tensor state_;
  double decay_;
};

/// Advantages beyond `deviations` standard deviations of all are cut off there; 0 leaves them.
at::Tensor winsorised(const at::Tensor& advantage, double deviations);

/// Which queries sample in a rollout while the others take the greedy choice.
struct Exploration {
  double share = 1;      ///< of the layers that sample, in (0, 1]
  bool by_query = true;  ///< drawn anew for every query; else once for a rollout
};
/// For one layer: `[n]` bool in which each is true with probability `share`.
at::Tensor explored(const Exploration& exploration, int64_t n, at::Generator& generator,
                    const at::Tensor& like);

/// A scalar whose gradient is minus the policy gradient of the mean over `n` entries:
/// -sum advantage * log_probability over the explored entries, divided by `n` and the share.
/// Undefined `mask`: all are.
at::Tensor policy_gradient_loss(const at::Tensor& log_probability, const at::Tensor& advantage,
                                const at::Tensor& mask, double share, double n);

}  // namespace dsrasq::train
