#include "dsrasq/train/selection_rollout.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "dsrasq/retriever/budget_head.h"

namespace dsrasq::train {

SelectionRollout::SelectionRollout(const RolloutOptions& options,
                                   const std::vector<StudentLayer>& layers,
                                   const retriever::BudgetByLayer& heads, at::Generator generator)
    : options_(options), layers_(layers), heads_(heads), generator_(std::move(generator)) {}

StudentPolicy::Visit SelectionRollout::visit() {
  return [this](int64_t layer, const at::Tensor& x) { layer_ = layer, x_ = x; };
}

Pick SelectionRollout::pick() {
  return [this](const PoolScores& pool) {
    const at::NoGradGuard no_grad;
    Part part{.begin = pool.begin, .end = pool.begin + pool.scores.size(0)};
    if (options_.samples)
      part.explored = explored(options_.exploration, pool.scores.size(0), generator_, pool.scores);
    const at::Tensor picked = options_.kind == SelectionKind::kBudget ? choose_budget(pool, part)
                                                                      : choose_tokens(pool, part);
    if (options_.samples) {
      Choices& choices = choices_[layer_];
      choices.x = x_;
      choices.parts.push_back(std::move(part));
    }
    return picked;
  };
}

at::Tensor SelectionRollout::choose_budget(const PoolScores& pool, Part& part) {
  const int64_t most = std::min(retriever::kBudgetSizes.back(), pool.scores.size(1));
  const at::Tensor best = std::get<0>(pool.scores.topk(most, 1));
  const at::Tensor all = log_mass(pool);
  part.features = retriever::budget_features(best - all, pool.local - all);
  const at::Tensor x = x_.narrow(0, part.begin, part.end - part.begin);
  const at::Tensor logits = retriever::budget_logits(heads_.at(layer_), x, part.features);
  part.action = logits.argmax(1);
  if (options_.samples)
    part.action = at::where(part.explored, BudgetPolicy::sample(logits, generator_), part.action);
  return best_of_sizes(pool, best, BudgetPolicy::sizes(part.action));
}

at::Tensor SelectionRollout::choose_tokens(const PoolScores& pool, Part& part) {
  const at::Tensor greedy = greedy_pick(pool, options_.top_k, true);
  if (!options_.samples) return greedy;
  const at::Tensor u = log_ratio(pool);
  at::Tensor drawn;
  if (options_.kind == SelectionKind::kRace) {
    const at::Tensor order = RacePolicy{options_.top_k}.sample(u, generator_);
    drawn = RacePolicy::picked(order, u.size(1));
    part.action = order.to(at::kInt);
  } else {
    drawn = BernoulliPolicy{options_.temperature}.sample(u, generator_);
    part.action = drawn;
  }
  return at::where(part.explored.unsqueeze(1), drawn, greedy);
}

std::vector<int64_t> SelectionRollout::layers() const {
  std::vector<int64_t> layers;
  for (const auto& [layer, choices] : choices_) layers.push_back(layer);
  return layers;
}

ChoiceTerms SelectionRollout::terms(int64_t layer, const RolloutRows& rows) const {
  const Choices& choices = choices_.at(layer);
  return options_.kind == SelectionKind::kBudget ? budget_terms(layer, choices, rows)
                                                 : token_terms(layer, choices, rows);
}

ChoiceTerms SelectionRollout::budget_terms(int64_t layer, const Choices& choices,
                                           const RolloutRows& rows) const {
  std::vector<at::Tensor> actions, masks, features;
  for (const Part& part : choices.parts) {
    actions.push_back(part.action);
    masks.push_back(part.explored);
    features.push_back(part.features);
  }
  const int64_t first = rows.sinks + rows.window, begin = choices.parts.front().begin;
  const int64_t n = choices.x.size(0) - first;
  const auto from_first = [&](const std::vector<at::Tensor>& parts) {
    return at::cat(parts).narrow(0, first - begin, n);
  };
  const at::Tensor logits = retriever::budget_logits(
      heads_.at(layer), choices.x.narrow(0, first, n), from_first(features));
  const at::Tensor choice = from_first(actions);
  // Row 0 sees one candidate, every later one sees one more.
  const at::Tensor n_candidates = at::arange(1, n + 1, choice.options());
  return {.positions = n_candidates + (first - 1),
          .log_probability = BudgetPolicy::log_probability(logits, choice),
          .explored = from_first(masks),
          .expected_size = BudgetPolicy::expected_size(logits, n_candidates),
          .entropy = BudgetPolicy::entropy(logits)};
}

ChoiceTerms SelectionRollout::token_terms(int64_t layer, const Choices& choices,
                                          const RolloutRows& rows) const {
  const StudentLayer& parameters = layers_[static_cast<size_t>(layer)];
  const StudentIndex index =
      StudentIndex::of(*parameters.indexer, parameters.threshold, choices.x.detach(),
                       options_.n_heads, options_.fake_quantise);
  std::vector<at::Tensor> log_probabilities, masks, sizes, entropies;
  for (const Part& part : choices.parts) {
    const auto& all = rows.positions;
    const auto from = std::lower_bound(all.begin(), all.end(), part.begin);
    const auto to = std::lower_bound(from, all.end(), part.end);
    if (from == to) continue;
    const at::Tensor positions = rows.on_device.narrow(0, from - all.begin(), to - from);
    const at::Tensor u =
        log_ratio(pool_scores(index, positions, part.end, rows.sinks, rows.window));
    const auto own = [&](const at::Tensor& t) { return t.index_select(0, positions - part.begin); };
    masks.push_back(own(part.explored));
    if (options_.kind == SelectionKind::kRace) {
      const RacePolicy race{options_.top_k};
      log_probabilities.push_back(race.log_probability(u, own(part.action).to(at::kLong)));
      sizes.push_back(race.expected_size(u));
    } else {
      const BernoulliPolicy bernoulli{options_.temperature};
      log_probabilities.push_back(bernoulli.log_probability(u, own(part.action)));
      sizes.push_back(bernoulli.expected_size(u));
      entropies.push_back(bernoulli.entropy(u));
    }
  }
  return {.positions = rows.on_device,
          .log_probability = at::cat(log_probabilities),
          .explored = at::cat(masks),
          .expected_size = at::cat(sizes),
          .entropy = entropies.empty() ? at::Tensor() : at::cat(entropies)};
}

}  // namespace dsrasq::train
