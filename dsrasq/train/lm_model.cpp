#include "dsrasq/train/lm_model.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInLmModel = "train.lm";
// As GPT-2: small weights, and smaller ones where a layer adds to the residual stream.
constexpr double kDeviation = 0.02;
constexpr uint64_t kIndexerSeed = 1000;

bool adds_to_the_stream(const std::string& name) {
  return name.ends_with("attn_output.weight") || name.ends_with("ffn_down.weight");
}

std::vector<int64_t> indexed_layers(const LmTrainOptions& options) {
  std::vector<int64_t> layers(static_cast<size_t>(options.is_sparse() ? options.layers : 0));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

}  // namespace

checkpoint::ModelConfig lm_config(const LmTrainOptions& o, int64_t vocab_size) {
  const auto want = [](bool ok, const auto&... what) {
    DSRASQ_CHECK(ok, kInvalidArgument, kInLmModel, what...);
  };
  want(o.layers >= 1 && o.layers <= 512, "--layers has to be from 1 to 512");
  want(o.heads >= 1 && o.heads <= 1024, "--heads has to be from 1 to 1024");
  want(o.kv_heads >= 1 && o.heads % o.kv_heads == 0, "--heads is ", o.heads,
       ", which is no multiple of --kv-heads ", o.kv_heads);
  want(o.hidden >= 1 && o.hidden <= 65536 && o.hidden % o.heads == 0, "--hidden is ", o.hidden,
       ", which is no multiple of --heads ", o.heads);
  want(o.hidden / o.heads % 16 == 0 && o.hidden / o.heads <= 256, "--hidden by --heads is ",
       o.hidden / o.heads, ", and the size of a head has to be a multiple of 16 up to 256");
  want(o.ffn >= 1 && o.ffn <= 1 << 20, "--ffn has to be from 1 to 1048576");
  want(o.context == 0 || o.context >= o.length, "--context is ", o.context, ", less than --length ",
       o.length);
  want(o.rope_theta > 1 && std::isfinite(o.rope_theta), "--rope-theta has to be above 1");
  checkpoint::ModelConfig config = checkpoint::family_config(checkpoint::Architecture::kLlama);
  config.n_layers = o.layers;
  config.n_embd = o.hidden;
  config.n_ff = o.ffn;
  config.n_heads = o.heads;
  config.n_kv_heads = o.kv_heads;
  config.head_dim = o.hidden / o.heads;
  config.vocab_size = vocab_size;
  config.context_length = o.trained_context();
  config.rms_norm_eps = 1e-5;
  config.rope_theta = config.rope_local_theta = o.rope_theta;
  config.attention_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  config.sliding_window.assign(static_cast<size_t>(o.layers), 0);
  config.tied_embeddings = o.tied;
  checkpoint::check_config(config, "the options");
  return config;
}

LmModel::LmModel(const LmTrainOptions& options, int64_t vocab_size, at::Device device,
                 at::ScalarType type)
    : config_(lm_config(options, vocab_size)),
      gca_config_(options.is_gca() ? std::optional(train::gca_config(options, config_))
                                   : std::nullopt),
      index_size_{options.hidden, options.index_heads, options.index_dim},
      has_indexers_(options.is_sparse()),
      indexers_(index_size_, indexed_layers(options), device),
      indexer_gradient_(index_size_, indexed_layers(options), device) {
  at::Generator generator = at::detail::createCPUGenerator(options.seed);
  std::vector<at::Tensor> matrices, norms;
  // The decoder's come first, with the same values whatever follows.
  const auto all = gca_config_ ? gca_tensors(*gca_config_) : checkpoint::wanted_tensors(config_);
  for (const checkpoint::WantedTensor& wanted : all) {
    if (wanted.shape.size() == 1) {
      places_[wanted.name] = {false, norms.size()};
      norms.push_back(at::ones(wanted.shape, type));
      continue;
    }
    const double layers = static_cast<double>(2 * options.layers);
    const double shrink = adds_to_the_stream(wanted.name) ? 1 / std::sqrt(layers) : 1;
    places_[wanted.name] = {true, matrices.size()};
    matrices.push_back(
        at::randn(wanted.shape, generator, at::kFloat).mul_(kDeviation * shrink).to(type));
  }
  head_ = places_.at(config_.tied_embeddings ? "token_embd.weight" : "output.weight").index;
  matrices_ = ParameterBank(matrices, device);
  norms_ = ParameterBank(norms, device);
  if (has_indexers_) indexers_.randomise(options.seed + kIndexerSeed);
}

model::WeightsByName LmModel::trained_weights(at::ScalarType dtype) const {
  model::WeightsByName weights;
  for (const auto& [name, place] : places_)
    weights[name] =
        place.is_matrix ? matrices_.leaf(place.index).to(dtype) : norms_.leaf(place.index);
  return weights;
}

model::Transformer LmModel::transformer(at::ScalarType dtype) const {
  return {config_, trained_weights(dtype)};
}

GcaModel LmModel::gca(at::ScalarType dtype, AngleCache& angles) const {
  return {gca_config_.value(), trained_weights(dtype), angles};
}

at::Tensor LmModel::head(at::ScalarType dtype) const {
  return matrices_.leaf(head_).detach().to(dtype);
}

model::WeightsByName LmModel::weights() const {
  model::WeightsByName weights;
  for (const auto& [name, place] : places_)
    weights[name] = (place.is_matrix ? matrices_ : norms_).leaf(place.index).detach();
  return weights;
}

retriever::Adapter LmModel::adapter(int64_t d_max) const {
  retriever::Adapter adapter;
  adapter.n_embd = index_size_.n_embd;
  adapter.n_heads = index_size_.n_heads;
  adapter.head_dim = index_size_.head_dim;
  adapter.d_max = d_max;
  for (size_t i = 0; i < indexers_.layers().size(); ++i)
    adapter.indexers[indexers_.layers()[i]] = indexers_.indexer(static_cast<int64_t>(i));
  return adapter;
}

void LmModel::clear_gradients() {
  matrices_.gradient().zero_();
  norms_.gradient().zero_();
  indexer_gradient_.matrix().zero_();
}

}  // namespace dsrasq::train
