#include "dsrasq/train/group_optimiser.h"

#include <ATen/Functions.h>

#include <utility>

namespace dsrasq::train {

GroupOptimiser::GroupOptimiser(std::vector<OptimisedGroup> groups) : groups_(std::move(groups)) {
  for (const OptimisedGroup& group : groups_) adam_.emplace_back(group.parameters);
}

void GroupOptimiser::step(ProcessGroup& processes, const std::vector<double>& rates,
                          const at::Tensor& metrics) {
  const auto learns = [&](size_t i) { return rates[i] > 0 && groups_[i].parameters.numel() > 0; };
  // While the optimiser is at one group, those after it are summed over the processes.
  std::vector<ProcessGroup::Pending> sums(groups_.size());
  for (size_t i = 0; i < groups_.size(); ++i)
    if (learns(i)) sums[i] = processes.start_sum(groups_[i].gradient);
  const ProcessGroup::Pending metric_sum = processes.start_sum(metrics);
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (!learns(i)) continue;
    OptimisedGroup& group = groups_[i];
    processes.wait(sums[i]);
    adam_step(group.parameters, group.gradient, row_norms(group.gradient), rates[i], group.options,
              adam_[i]);
  }
  processes.wait(metric_sum);
}

void GroupOptimiser::save(TrainingState& state) const {
  std::vector<at::Tensor> parameters, first, second;
  for (size_t i = 0; i < groups_.size(); ++i) {
    parameters.push_back(groups_[i].parameters.view({1, -1}));
    first.push_back(adam_[i].first.view({1, -1}));
    second.push_back(adam_[i].second.view({1, -1}));
  }
  state.parameters = at::cat(parameters, 1);
  state.first = at::cat(first, 1);
  state.second = at::cat(second, 1);
}

void GroupOptimiser::load(const TrainingState& state, const std::vector<int64_t>& steps) {
  int64_t begin = 0;
  for (size_t i = 0; i < groups_.size(); ++i) {
    at::Tensor& parameters = groups_[i].parameters;
    const int64_t n = parameters.numel();
    const auto take = [&](at::Tensor& to, const at::Tensor& all) {
      to.copy_(all.narrow(1, begin, n).view(to.sizes()));
    };
    take(parameters, state.parameters);
    take(adam_[i].first, state.first);
    take(adam_[i].second, state.second);
    adam_[i].steps = steps[i];
    begin += n;
  }
}

}  // namespace dsrasq::train
