#include "dsrasq/train/lm_run.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "dsrasq/ops/rows.h"
#include "dsrasq/train/lm_loss.h"
#include "dsrasq/train/retriever_run.h"

namespace dsrasq::train {
namespace {

constexpr uint64_t kLmRowStream = 1300000, kLmNoiseStream = 1400000;
constexpr int64_t kTokensAtOnce = 1 << 16, kTokensAtOnceCpu = 1 << 12;

}  // namespace

LmRun::LmRun(LmModel& model, const LmTrainOptions& options, const StretchSampler& sampler,
             ProcessGroup& processes, at::Device device, at::ScalarType dtype)
    : model_(model),
      options_(options),
      sampler_(sampler),
      processes_(processes),
      device_(device),
      dtype_(dtype),
      attention_{.length = options.length,
                 .window = options.window,
                 .sinks = options.sinks,
                 .top_k = options.top_k,
                 .n_heads = options.index_heads,
                 .fake_quantise = options.fake_quantise},
      index_loss_{.n_heads = options.index_heads,
                  .fake_quantise = options.fake_quantise,
                  .conditional_weight = options.conditional_weight},
      shape_(model.transformer(dtype).shape()),
      logit_rows_(model.transformer(dtype).logit_rows(INT64_MAX)),
      angles_(device) {}

int64_t LmRun::stretches_at_once() const {
  const int64_t most = options_.tokens_at_once > 0 ? options_.tokens_at_once
                       : device_.is_cpu()          ? kTokensAtOnceCpu
                                                   : kTokensAtOnce;
  return std::max<int64_t>(1, most / options_.length);
}

at::Tensor LmRun::ids_of(const std::vector<Stretch>& stretches) const {
  std::vector<int32_t> ids;
  for (const Stretch& stretch : stretches)
    ids.insert(ids.end(), stretch.ids.begin(), stretch.ids.end());
  return at::tensor(ids, at::kInt).to(device_, true).to(at::kLong);
}

at::Tensor LmRun::states(const at::Tensor& ids, LmPolicy::Visit visit, const at::Tensor& noise) {
  const at::Tensor by_stretch = ids.view({-1, options_.length});
  if (options_.is_gca()) return model_.gca(dtype_, angles_).states(by_stretch, noise);
  LmPolicy policy(shape_, attention_, model_.indexers(), angles_, std::move(visit));
  return model_.transformer(dtype_)
      .differentiable_forward(ids, policy)
      .view({by_stretch.size(0), options_.length, -1});
}

// Made on the CPU, so that every device draws the same.
at::Tensor LmRun::gumbel_noise(int64_t step, const std::vector<int64_t>& indices) const {
  if (!options_.is_gca()) return {};
  const int64_t n = model_.gca_config()->n_retrieving(options_.length);
  std::vector<at::Tensor> noise;
  for (const int64_t index : indices) {
    CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                   kLmNoiseStream + static_cast<uint64_t>(index));
    at::Generator generator = at::detail::createCPUGenerator(rng.next());
    noise.push_back(at::empty({n, n}, at::kFloat).exponential_(1, generator).log_().neg_());
  }
  return at::stack(noise).to(device_, true);
}

// Of what the model's own attention would put on far tokens, were they all read.
void LmRun::teach_indexer(int64_t layer, const at::Tensor& x, const DenseAttention& all,
                          const std::vector<SampledRows>& rows, at::Tensor& loss) {
  const double share = 1 / static_cast<double>(options_.index_stretches * model_.config().n_layers);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto own = [&](const at::Tensor& t) {
      return t.narrow(0, static_cast<int64_t>(i) * options_.length, options_.length).detach();
    };
    DenseAttention attention = all;
    attention.q = own(all.q), attention.k = own(all.k), attention.v = own(all.v);
    const AttentionTarget target =
        far_attention(attention, rows[i], options_.sinks, options_.window);
    loss.add_(indexer_loss(model_.indexers()->indexer(layer), own(x), target, index_loss_,
                           1 / static_cast<double>(options_.index_stretches),
                           model_.indexer_gradient().indexer(layer)),
              share);
  }
}

void LmRun::learn(int64_t step, const std::vector<int64_t>& indices, at::Tensor& sums) {
  std::vector<Stretch> stretches;
  std::vector<SampledRows> rows;  // of the first of them, which the indexers learn from
  for (const int64_t index : indices) {
    stretches.push_back(sampler_.training(step, index));
    if (index >= options_.index_stretches) continue;
    CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                   kLmRowStream + static_cast<uint64_t>(index));
    rows.push_back(far_rows(stretches.back(),
                            {options_.rows, options_.window, options_.sinks, false}, device_, rng));
  }
  const auto n = static_cast<int64_t>(indices.size());
  const at::Tensor ids = ids_of(stretches);
  at::Tensor index_loss = sums.select(0, kLmRetriever);

  const at::AutoGradMode with_gradients(true);
  const auto teach = [&](int64_t layer, const at::Tensor& x, const DenseAttention& all) {
    teach_indexer(layer, x, all, rows, index_loss);
  };
  // The last position of a stretch predicts a token that the stretch does not have.
  const int64_t n_next = options_.length - 1;
  const at::Tensor states =
      this->states(ids, teach, gumbel_noise(step, indices)).narrow(1, 0, n_next).flatten(0, 1);
  const at::Tensor next = ids.view({n, options_.length}).narrow(1, 1, n_next).flatten();
  const double weight = 1 / static_cast<double>(options_.batch * n_next);
  const NextTokenLoss loss = next_token_loss(states.detach(), model_.head(dtype_), next,
                                             logit_rows_, weight, &model_.head_gradient());
  states.backward(loss.gradient);
  const at::NoGradGuard no_grad;
  sums.select(0, kLmNll).add_(loss.sum, weight);
}

at::Tensor LmRun::accumulate(int64_t step) {
  model_.clear_gradients();
  const auto sum_type = dtype_ == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor sums = at::zeros({kLmMetrics}, at::TensorOptions(device_).dtype(sum_type));
  std::vector<int64_t> indices;
  const auto learn_from_them = [&] {
    if (!indices.empty()) learn(step, std::exchange(indices, {}), sums);
  };
  for (int64_t b = 0; b < options_.batch; ++b) {
    if (processes_.has(b)) indices.push_back(b);
    if (static_cast<int64_t>(indices.size()) == stretches_at_once()) learn_from_them();
  }
  learn_from_them();
  tokens_read_ += options_.batch * options_.length;
  return sums;
}

double LmRun::score() {
  const at::NoGradGuard no_grad;
  if (options_.eval_stretches == 0) return 0;
  const at::Tensor head = model_.head(dtype_);
  at::Tensor sum = at::zeros({1}, at::TensorOptions(device_).dtype(at::kDouble));
  const int64_t n_next = options_.length - 1;
  for (int64_t i = 0; i < options_.eval_stretches; ++i) {
    if (!processes_.has(i)) continue;
    const at::Tensor ids = ids_of({sampler_.held_out(i, false)});
    const at::Tensor states = this->states(ids, nullptr, {}).select(0, 0).narrow(0, 0, n_next);
    sum.add_(next_token_loss(states, head, ids.narrow(0, 1, n_next), logit_rows_).sum);
  }
  const at::Tensor host = sum.to(at::kCPU);
  processes_.sum(host);
  return std::exp(host.item<double>() / static_cast<double>(options_.eval_stretches * n_next));
}

}  // namespace dsrasq::train
