#include "dsrasq/train/selection_policy.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace dsrasq::train {
namespace {

// Sigmoids beyond are 0 or 1 in every floating type, and products with them stay finite.
constexpr double kMostLogit = 1000;

at::Tensor tempered(const at::Tensor& u, double temperature) {
  return (u / temperature).clamp(-kMostLogit, kMostLogit);
}

}  // namespace

at::Generator seeded_generator(at::Device device, uint64_t seed) {
  at::Generator source = at::globalContext().defaultGenerator(device);
  at::Generator generator = [&] {
    const std::lock_guard<std::mutex> lock(source.mutex());
    return source.clone();
  }();
  generator.set_current_seed(seed);
  return generator;
}

at::Tensor gumbel_noise(const at::Tensor& like, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  at::Tensor noise = at::empty_like(like.detach()).exponential_(1, generator);
  return noise.clamp_min_(1e-30).log_().neg_();
}

at::Tensor BernoulliPolicy::sample(const at::Tensor& u, at::Generator& generator) const {
  const at::NoGradGuard no_grad;
  return at::rand(u.sizes(), generator, u.options().requires_grad(false)) <
         tempered(u, temperature).sigmoid();
}

at::Tensor BernoulliPolicy::log_probability(const at::Tensor& u, const at::Tensor& picked) const {
  const at::Tensor v = tempered(u, temperature);
  return at::log_sigmoid(at::where(picked, v, -v)).sum(1);
}

at::Tensor BernoulliPolicy::expected_size(const at::Tensor& u) const {
  return tempered(u, temperature).sigmoid().sum(1);
}

at::Tensor BernoulliPolicy::entropy(const at::Tensor& u) const {
  const at::Tensor v = tempered(u, temperature);
  return (-at::log_sigmoid(-v) - v * v.sigmoid()).sum(1);
}

at::Tensor RacePolicy::sample(const at::Tensor& u, at::Generator& generator) const {
  const at::NoGradGuard no_grad;
  const int64_t n = u.size(1);
  const at::Tensor arrival = u + gumbel_noise(u, generator);
  const at::Tensor stop = gumbel_noise(u.narrow(1, 0, 1), generator);
  const auto [best, columns] = arrival.topk(std::min(most, n), 1);
  return columns.masked_fill(best <= stop, n);
}

at::Tensor RacePolicy::picked(const at::Tensor& order, int64_t n_candidates) {
  const at::Tensor all =
      at::zeros({order.size(0), n_candidates + 1}, order.options().dtype(at::kBool));
  return all.scatter(1, order, true).narrow(1, 0, n_candidates);
}

at::Tensor RacePolicy::log_probability(const at::Tensor& u, const at::Tensor& order) const {
  const int64_t n = u.size(1);
  const at::Tensor is_pick = order < n;
  const at::Tensor chosen = u.gather(1, order.clamp_max(n - 1)).masked_fill(~is_pick, kNoCandidate);
  // What still runs when a pick arrives: STOP and those never picked, then the later picks. Summed
  // from the end, so that nothing is ever subtracted.
  const at::Tensor others = u.masked_fill(picked(order, n), kNoCandidate).logsumexp({1}, true);
  const at::Tensor never = at::logaddexp(others, at::zeros_like(others));
  const at::Tensor later = chosen.flip({1}).logcumsumexp(1).flip({1});
  const at::Tensor terms = (chosen - at::logaddexp(never, later)).masked_fill(~is_pick, 0);
  const at::Tensor has_stopped = ~is_pick.select(1, order.size(1) - 1);
  return terms.sum(1) - never.squeeze(1).masked_fill(~has_stopped, 0);
}

at::Tensor RacePolicy::expected_size(const at::Tensor& u) const { return u.sigmoid().sum(1); }

at::Tensor BudgetPolicy::sample(const at::Tensor& logits, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  return (logits + gumbel_noise(logits, generator)).argmax(1);
}

at::Tensor BudgetPolicy::log_probability(const at::Tensor& logits, const at::Tensor& choice) {
  return logits.log_softmax(1).gather(1, choice.unsqueeze(1)).squeeze(1);
}

at::Tensor BudgetPolicy::expected_size(const at::Tensor& logits, const at::Tensor& n_candidates) {
  const at::Tensor sizes = all_sizes(logits).unsqueeze(0).minimum(n_candidates.unsqueeze(1));
  return (logits.softmax(1) * sizes.to(logits.scalar_type())).sum(1);
}

at::Tensor BudgetPolicy::entropy(const at::Tensor& logits) {
  const at::Tensor log_p = logits.log_softmax(1);
  return -(log_p.exp() * log_p).sum(1);
}

at::Tensor BudgetPolicy::all_sizes(const at::Tensor& like) {
  const std::vector<int64_t> sizes(retriever::kBudgetSizes.begin(), retriever::kBudgetSizes.end());
  return at::tensor(sizes, at::kLong).to(like.device(), true);
}

at::Tensor BudgetPolicy::sizes(const at::Tensor& choice) {
  return all_sizes(choice).index_select(0, choice);
}

}  // namespace dsrasq::train
