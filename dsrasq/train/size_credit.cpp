#include "dsrasq/train/size_credit.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <vector>

#include "dsrasq/retriever/adapter_budget.h"
#include "dsrasq/train/selection_policy.h"

namespace dsrasq::train {

SizeCredit::SizeCredit(const JointRun& run, const JointInput& input,
                       const JointTrainOptions& options)
    : run_(run), input_(input), options_(options), angles_(input.train.model.device()) {}

LayerCosts SizeCredit::layer_costs(const StudentLayer& parameters, const ProbedLayer& layer,
                                   const std::vector<at::Tensor>& gradients,
                                   const SampledRows& rows) const {
  const StudentIndex index =
      StudentIndex::of(*parameters.indexer, parameters.threshold, layer.x,
                       run_.parameters().index_heads(), options_.fake_quantise);
  const PoolScores pool =
      pool_scores(index, rows.positions, rows.last + 1, options_.sinks, options_.window);
  const int64_t most = std::min(retriever::kBudgetSizes.back(), pool.scores.size(1));
  const auto [best, columns] = pool.scores.topk(most, 1);
  const at::Tensor all = log_mass(pool);
  const RankedRows ranked{.rows = rows,
                          .best = columns + options_.sinks,
                          .seen = pool.unseen.gather(1, columns).logical_not_(),
                          .sinks = options_.sinks,
                          .window = options_.window};
  return {.x = layer.x.index_select(0, rows.positions),
          .log_share = best - all,
          .local = pool.local - all,
          .n_seen = pool.unseen.logical_not().sum(1),
          .costs = size_costs(layer.attention, gradients, ranked)};
}

at::Tensor SizeCredit::read(const Stretch& stretch, CounterRng& rng, const Visit& visit) {
  const at::NoGradGuard no_grad;
  const model::Transformer& model = input_.train.model;
  const at::Tensor ids = at::tensor(stretch.ids, at::kInt).to(at::kLong).to(model.device(), true);
  const auto length = static_cast<int64_t>(stretch.ids.size());
  const std::vector<int64_t> sampled =
      sample_rows(options_.sinks + options_.window, length, options_.rows, {}, rng);
  const SampledRows rows{at::tensor(sampled, at::kLong).to(model.device(), true), sampled.back()};
  at::Generator generator = seeded_generator(model.device(), rng.next());

  retriever::LoraByLayer lora = run_.parameters().lora();
  for (auto& [layer, part] : lora)
    part.visit([](const char*, retriever::LowRank& t) {
      if (t.defined()) t = {t.a.detach(), t.b.detach()};
    });
  ProbePolicy probe(model.shape(), run_.parameters().d_max(), angles_);
  at::Tensor states, nll;
  {
    const at::AutoGradMode with_gradients(true);
    states = model.adapted(lora).differentiable_forward(ids, probe);
  }
  std::map<int64_t, std::vector<at::Tensor>> gradients;
  for (int64_t y = 0; y < options_.rl.labels; ++y) {
    const LabelGradient labels = label_gradient(model, states.detach(), ids, generator);
    nll = labels.nll;
    states.backward(labels.states, y + 1 < options_.rl.labels);
    for (auto& [layer, gradient] : probe.take_gradients()) gradients[layer].push_back(gradient);
  }
  for (const auto& [layer, probed] : probe.layers())
    visit(layer, layer_costs(run_.parameters().layers()[static_cast<size_t>(layer)], probed,
                             gradients.at(layer), rows));
  return nll;
}

}  // namespace dsrasq::train
