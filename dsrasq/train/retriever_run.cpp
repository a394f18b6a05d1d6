#include "dsrasq/train/retriever_run.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr uint64_t kRetrieverRowStream = 500000, kRetrieverScoreStream = 2;
// Tokens beyond sinks and window that a sampled row should at least see.
constexpr int64_t kLeastFar = 256;

}  // namespace

std::vector<int64_t> retriever_layers(const policy::AttentionShape& shape) {
  std::vector<int64_t> layers;
  for (int64_t i = 0; i < shape.n_layers; ++i)
    if (shape.layers[static_cast<size_t>(i)].sliding_window == 0) layers.push_back(i);
  return layers;
}

int64_t longest_distance(int64_t wanted, int64_t context) {
  return wanted > 0 ? wanted : std::max<int64_t>(1, context * 6000 / 8192);
}

SampledRows far_rows(const Stretch& stretch, const RowOptions& options, at::Device device,
                     CounterRng& rng) {
  const auto n_tokens = static_cast<int64_t>(stretch.ids.size());
  const int64_t local = options.window + options.sinks;
  const int64_t first = local + std::min(kLeastFar, (n_tokens - local) / 4);
  std::vector<int64_t> rows;
  if (options.focus_only) {
    std::copy_if(stretch.focus.begin(), stretch.focus.end(), std::back_inserter(rows),
                 [&](int64_t i) { return i >= first; });
    if (static_cast<int64_t>(rows.size()) > options.rows)
      rows.resize(static_cast<size_t>(options.rows));
  } else {
    rows = sample_rows(first, n_tokens, options.rows, stretch.focus, rng);
  }
  return {at::tensor(rows, at::kLong).to(device, true), rows.empty() ? 0 : rows.back()};
}

RetrieverRun::RetrieverRun(const TrainInput& input, const RetrieverTrainOptions& options,
                           const StretchSampler& sampler)
    : input_(input),
      options_(options),
      sampler_(sampler),
      loss_{.n_heads = options.n_heads,
            .fake_quantise = options.fake_quantise,
            .conditional_weight = options.conditional_weight},
      d_max_(longest_distance(options.max_distance, input.model.shape().context)),
      parameters_({input.model.shape().n_embd, options.n_heads, options.head_dim},
                  retriever_layers(input.model.shape()), input.model.device()),
      gradient_({input.model.shape().n_embd, options.n_heads, options.head_dim},
                retriever_layers(input.model.shape()), input.model.device()),
      index_of_layer_(static_cast<size_t>(input.model.shape().n_layers), -1),
      angles_(input.model.device()) {
  parameters_.randomise(options.seed);
  for (size_t i = 0; i < parameters_.layers().size(); ++i)
    index_of_layer_[static_cast<size_t>(parameters_.layers()[i])] = static_cast<int64_t>(i);
  measure_inputs();
}

// On the first held-out stretch, so that a resumed run finds the same.
void RetrieverRun::measure_inputs() {
  const Stretch stretch = sampler_.held_out(0, false);
  CounterRng rng(options_.seed, 0, kRetrieverRowStream);
  RowOptions one_row{.rows = 1, .window = options_.window, .sinks = options_.sinks};
  read(stretch, far_rows(stretch, one_row, input_.model.device(), rng),
       [&](int64_t, const at::Tensor& x, const AttentionTarget&) {
         const double size = x.to(at::kFloat).square().mean().sqrt().item<double>();
         input_size_.push_back(size > 0 && std::isfinite(size) ? size : 1);
       });
  // To the last bit the same in all processes, whatever their GPUs.
  input_.processes->take_from_first(
      at::from_blob(input_size_.data(), static_cast<int64_t>(input_size_.size()), at::kDouble));
  tokens_read_ = 0;
}

namespace {

// Each projection of an input, `factor` times as large.
retriever::IndexerParameters scaled(retriever::IndexerParameters values, double factor) {
  for (at::Tensor* projection : {&values.query, &values.key, &values.head_weight, &values.local})
    *projection = projection->mul(factor);
  return values;
}

}  // namespace

retriever::IndexerParameters RetrieverRun::indexer_of_layer(int64_t index) const {
  IndexerBank bank = parameters_;
  return scaled(bank.indexer(index), 1 / input_size_[static_cast<size_t>(index)]);
}

void RetrieverRun::set_indexer(int64_t index, const retriever::IndexerParameters& values) {
  parameters_.set(index, scaled(values, input_size_[static_cast<size_t>(index)]));
}

SampledRows RetrieverRun::rows_of(const Stretch& stretch, CounterRng& rng, bool focus_only) const {
  return far_rows(stretch, {options_.rows, options_.window, options_.sinks, focus_only},
                  input_.model.device(), rng);
}

void RetrieverRun::read(const Stretch& stretch, const SampledRows& rows,
                        const TeacherPolicy::Visit& visit) {
  const auto n_tokens = static_cast<int64_t>(stretch.ids.size());
  // Beyond the trained context only the clamped teacher knows what it reads.
  const TeacherOptions teacher{.sinks = options_.sinks,
                               .window = options_.window,
                               .d_max = d_max_,
                               .clamped_output = n_tokens > input_.model.shape().context};
  TeacherPolicy policy(input_.model.shape(), teacher, rows, angles_, visit);
  const at::Tensor ids = at::tensor(stretch.ids, at::kInt).to(at::kLong);
  input_.model.forward(ids, policy);
  tokens_read_ += n_tokens;
}

at::Tensor RetrieverRun::accumulate(int64_t step) {
  gradient_.matrix().zero_();
  const double weight = 1.0 / static_cast<double>(options_.batch);
  at::Tensor losses =
      at::zeros({static_cast<int64_t>(parameters_.layers().size())}, gradient().options());
  ProcessGroup& processes = *input_.processes;
  std::vector<ProcessGroup::Pending> sums;
  for (int64_t b = 0; b < options_.batch; ++b) {
    if (!processes.has(b)) {
      tokens_read_ += sampler_.training_length(step);
      continue;
    }
    const bool is_last = b + processes.size() >= options_.batch;
    const Stretch stretch = sampler_.training(step, b);
    CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                   kRetrieverRowStream + static_cast<uint64_t>(b));
    read(stretch, rows_of(stretch, rng, false),
         [&](int64_t layer, const at::Tensor& x, const AttentionTarget& target) {
           const int64_t i = index_of_layer_[static_cast<size_t>(layer)];
           losses[i].add_(indexer_loss(parameters_.indexer(i), unit_input(i, x), target, loss_,
                                       weight, gradient_.indexer(i)),
                          weight);
           if (is_last) sums.push_back(processes.start_sum(gradient()[i]));
         });
  }
  sums.push_back(processes.start_sum(losses));
  for (const ProcessGroup::Pending& sum : sums) processes.wait(sum);
  return losses;
}

// Adds captured, ideal and all mass for k = 64 and 256, the KL and the number of layers: [8].
void RetrieverRun::score_stretch(const Stretch& stretch, int64_t index, bool recall,
                                 at::Tensor& sums) {
  CounterRng rng(options_.seed, static_cast<uint64_t>(index), kRetrieverScoreStream);
  const SampledRows rows = rows_of(stretch, rng, recall);
  if (rows.positions.size(0) == 0) return;
  read(stretch, rows, [&](int64_t layer, const at::Tensor& x, const AttentionTarget& target) {
    const int64_t i = index_of_layer_[static_cast<size_t>(layer)];
    const IndexerEstimate estimate =
        estimate_attention(parameters_.indexer(i), unit_input(i, x), target, loss_);
    sums.add_(at::cat({captured_mass(estimate.scores, target.mass, 64),
                       captured_mass(estimate.scores, target.mass, 256), estimate.loss.reshape({1}),
                       at::ones({1}, sums.options())}));
  });
}

RetrieverScore RetrieverRun::score() {
  const int64_t tokens_before = tokens_read_;
  at::Tensor plain = at::zeros({8}, gradient().options()), recall = at::zeros_like(plain);
  for (int64_t i = 0; i < options_.eval_stretches; ++i) {
    if (!input_.processes->has(i)) continue;
    score_stretch(sampler_.held_out(i, false), i, false, plain);
    score_stretch(sampler_.held_out(i, true), i, true, recall);
  }
  tokens_read_ = tokens_before;
  const at::Tensor host = at::stack({plain, recall}).to(at::kCPU, at::kDouble).contiguous();
  input_.processes->sum(host);
  const double* p = host.const_data_ptr<double>();
  const double* r = p + 8;
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  return {.captured64 = share(p[0], p[2]),
          .ideal64 = share(p[1], p[2]),
          .captured256 = share(p[3], p[5]),
          .ideal256 = share(p[4], p[5]),
          .recall64 = share(r[0], r[2]),
          .recall_ideal64 = share(r[1], r[2]),
          .kl = share(p[6], p[7])};
}

}  // namespace dsrasq::train
