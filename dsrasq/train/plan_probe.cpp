#include "dsrasq/train/plan_probe.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <chrono>

#include "dsrasq/train/teacher_policy.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kProbeTokens = 512;

}  // namespace

ForwardProbe probe_forward(const model::Transformer& model, const RunOptions& options) {
  AngleCache angles(model.device());
  const auto forward = [&](const at::Tensor& ids) {
    TeacherPolicy policy(model.shape(), {}, {}, angles, nullptr);
    return model.forward(ids, policy);
  };
  return probe_forward(forward, model.config().vocab_size, options);
}

ForwardProbe probe_forward(const std::function<at::Tensor(const at::Tensor& ids)>& forward,
                           int64_t vocab_size, const RunOptions& options) {
  const int64_t n_tokens = std::min(kProbeTokens, options.length);
  const at::Tensor ids = at::arange(n_tokens, at::kLong).remainder(vocab_size);
  double best = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    forward(ids).sum().to(at::kCPU);  // waits for the device
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    best = attempt == 0 ? passed.count() : std::min(best, passed.count());
  }
  return {.tokens = static_cast<double>(n_tokens), .seconds = best};
}

double mean_length(const RunOptions& options) {
  return static_cast<double>(options.length) * (1 - options.long_share) +
         static_cast<double>(options.long_length) * options.long_share;
}

int64_t longest_length(const RunOptions& options) {
  return options.long_share > 0 ? options.long_length : options.length;
}

double planned_seconds(const RunOptions& options, double step_seconds) {
  return options.time_budget > 0 ? options.time_budget
                                 : step_seconds * static_cast<double>(options.steps);
}

}  // namespace dsrasq::train
