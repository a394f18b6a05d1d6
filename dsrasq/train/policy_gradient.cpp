#include "dsrasq/train/policy_gradient.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {
constexpr const char* kInPolicyGradient = "train.policy_gradient";
constexpr double kLeastWeight = 1e-12;
}  // namespace

at::Tensor discounted_credit(const at::Tensor& rewards, int64_t horizon, double discount) {
  at::Tensor credit = rewards.clone();
  const int64_t n = rewards.size(1);
  double weight = 1;
  for (int64_t h = 1; h <= std::min(horizon, n - 1); ++h) {
    weight *= discount;
    credit.narrow(1, 0, n - h).add_(rewards.narrow(1, h, n - h), weight);
  }
  return credit;
}

at::Tensor leave_one_out(const at::Tensor& credits) {
  const auto n = static_cast<double>(credits.size(0));
  DSRASQ_CHECK(n >= 2, kInvalidArgument, kInPolicyGradient,
               "leaving one sample out wants at least 2 of them, there is ", credits.size(0));
  return (credits - credits.mean({0}, true)) * (n / (n - 1));
}

at::Tensor MovingAverageBaseline::value() const {
  return state_.select(0, 0) / state_.select(0, 1).clamp_min(kLeastWeight);
}

at::Tensor MovingAverageBaseline::advantage(const at::Tensor& credits) {
  const at::NoGradGuard no_grad;
  const at::Tensor advantage = credits - value();
  state_.mul_(decay_);
  state_.select(0, 0).add_(credits.mean(), 1 - decay_);
  state_.select(0, 1).add_(1 - decay_);
  return advantage;
}

at::Tensor winsorised(const at::Tensor& advantage, double deviations) {
  if (deviations <= 0) return advantage;
  const at::Tensor most = advantage.std(false) * deviations;
  return advantage.minimum(most).maximum(-most);
}

at::Tensor explored(const Exploration& exploration, int64_t n, at::Generator& generator,
                    const at::Tensor& like) {
  const auto options = like.options().requires_grad(false).dtype(at::kFloat);
  const at::Tensor draws = at::rand({exploration.by_query ? n : 1}, generator, options);
  return (draws < exploration.share).expand({n});
}

at::Tensor policy_gradient_loss(const at::Tensor& log_probability, const at::Tensor& advantage,
                                const at::Tensor& mask, double share, double n) {
  at::Tensor terms = log_probability * advantage.detach();
  if (mask.defined()) terms = terms.masked_fill(~mask, 0);
  return terms.sum() * (-1 / (n * share));
}

}  // namespace dsrasq::train
