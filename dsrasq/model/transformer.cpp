#include "dsrasq/model/transformer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/ops/recompute.h"

namespace dsrasq::model {
namespace {

using checkpoint::Checkpoint;
using checkpoint::ModelConfig;

constexpr const char* kInTransformer = "model.transformer";
constexpr int64_t kLogitElements = 1 << 26, kLogitElementsCpu = 1 << 22;

at::Tensor linear(const ops::Linear& base, const LowRankAddition& addition, const at::Tensor& x) {
  return addition ? ops::add(base(x), addition(x)) : base(x);
}

policy::AttentionShape attention_shape(const ModelConfig& config) {
  policy::AttentionShape shape{.n_layers = config.n_layers,
                               .n_embd = config.n_embd,
                               .n_heads = config.n_heads,
                               .n_kv_heads = config.n_kv_heads,
                               .head_dim = config.head_dim,
                               .context = config.context_length,
                               .logit_softcap = config.attention_logit_softcap,
                               .layers = {}};
  const auto rope = [&config](bool is_sliding) {
    const checkpoint::RopeTable table = checkpoint::rope_table(config, is_sliding);
    return ops::Rope(table.inverse_frequencies, table.attention_factor);
  };
  const ops::Rope global = rope(false), local = rope(true);
  for (const int64_t window : config.sliding_window) {
    const ops::Rope& own = window > 0 ? local : global;
    shape.layers.push_back({window, config.attention_scale * own.logit_factor(), own});
  }
  return shape;
}

// Weights of a checkpoint by canonical name, onto the wanted device.
class Loader {
 public:
  Loader(const Checkpoint& checkpoint, const LoadOptions& options)
      : checkpoint_(checkpoint),
        options_(options),
        packed_(options.packed && options.device.is_cpu()) {}

  ops::Linear linear(const std::vector<std::string>& names) const {
    std::vector<const checkpoint::TensorRef*> weights, biases;
    for (const std::string& name : names) {
      weights.push_back(&checkpoint_.require(name + ".weight"));
      if (const auto* bias = checkpoint_.find(name + ".bias")) biases.push_back(bias);
    }
    DSRASQ_CHECK(biases.empty() || biases.size() == weights.size(), kBadInput, kInTransformer,
                 checkpoint_.path().string(), ": only some of ", names.front(),
                 " and its neighbours have a bias");
    return {weights, biases, options_.device, options_.dtype, packed_, options_.products};
  }

  // A norm's weight in fp32, with the 1 that Gemma's folders leave out; undefined when absent.
  at::Tensor norm(const std::string& name) const {
    const checkpoint::TensorRef* ref = checkpoint_.find(name + ".weight");
    if (ref == nullptr) return {};
    std::vector<float> values = checkpoint::to_float(*ref);
    at::Tensor weight =
        at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kFloat).clone();
    if (checkpoint_.config().norm_weight_is_offset) weight += 1;
    return weight.to(options_.device);
  }

 private:
  const Checkpoint& checkpoint_;
  const LoadOptions& options_;
  bool packed_;
};

// Tensors in memory by canonical name, as they are: gradients reach them.
class Tensors {
 public:
  explicit Tensors(const WeightsByName& weights) : weights_(weights) {}

  ops::Linear linear(const std::vector<std::string>& names) const {
    std::vector<at::Tensor> parts;
    for (const std::string& name : names) parts.push_back(weights_.at(name + ".weight"));
    return ops::Linear::dense(parts.size() == 1 ? parts.front() : at::cat(parts));
  }
  at::Tensor norm(const std::string& name) const {
    const auto found = weights_.find(name + ".weight");
    return found == weights_.end() ? at::Tensor() : found->second;
  }

 private:
  const WeightsByName& weights_;
};

}  // namespace

Transformer::Transformer(const Checkpoint& checkpoint, const LoadOptions& options)
    : config_(checkpoint.config()), options_(options), shape_(attention_shape(config_)) {
  take_weights(Loader(checkpoint, options));
}

Transformer::Transformer(const ModelConfig& config, const WeightsByName& weights)
    : config_(config), shape_(attention_shape(config_)) {
  const at::Tensor& embedding = weights.at("token_embd.weight");
  options_ = {.device = embedding.device(), .dtype = embedding.scalar_type(), .packed = false};
  trains_weights_ = embedding.requires_grad();
  take_weights(Tensors(weights));
}

template <class Source>
void Transformer::take_weights(const Source& load) {
  embedding_ = load.linear({"token_embd"});
  head_ = config_.tied_embeddings ? embedding_ : load.linear({"output"});
  output_norm_ = load.norm("output_norm");
  for (int64_t i = 0; i < config_.n_layers; ++i) {
    const std::string at = "blk." + std::to_string(i) + ".";
    layers_.push_back({.attn_norm = load.norm(at + "attn_norm"),
                       .q_norm = load.norm(at + "attn_q_norm"),
                       .k_norm = load.norm(at + "attn_k_norm"),
                       .post_attn_norm = load.norm(at + "post_attention_norm"),
                       .ffn_norm = load.norm(at + "ffn_norm"),
                       .post_ffn_norm = load.norm(at + "post_ffw_norm"),
                       .qkv = load.linear({at + "attn_q", at + "attn_k", at + "attn_v"}),
                       .out = load.linear({at + "attn_output"}),
                       .gate_up = load.linear({at + "ffn_gate", at + "ffn_up"}),
                       .down = load.linear({at + "ffn_down"})});
  }
}

Transformer Transformer::adapted(const retriever::LoraByLayer& lora) const {
  Transformer copy = *this;
  const int64_t n_q = config_.n_heads * config_.head_dim;
  const int64_t n_kv = config_.n_kv_heads * config_.head_dim;
  const bool packed = options_.packed && options_.device.is_cpu();
  for (const auto& [index, part] : lora) {
    DSRASQ_CHECK(index >= 0 && index < config_.n_layers, kBadInput, kInTransformer,
                 "the adapter has low-rank additions for layer ", index, ", the model has ",
                 config_.n_layers, " layers");
    const auto target = [&, index = index](const char* name, int64_t n_in) {
      return LowRankAddition::Target{.name = concat("lora.", index, '.', name),
                                     .n_in = n_in,
                                     .device = options_.device,
                                     .dtype = options_.dtype,
                                     .packed = packed};
    };
    Layer& layer = copy.layers_[static_cast<size_t>(index)];
    layer.qkv_lora = {{{part.q, n_q}, {part.k, n_kv}, {part.v, n_kv}},
                      target("q, k or v", config_.n_embd)};
    layer.out_lora = {{{part.o, config_.n_embd}}, target("o", n_q)};
    layer.down_lora = {{{part.down, config_.n_embd}}, target("down", config_.n_ff)};
  }
  return copy;
}

void Transformer::check_dense() const {
  DSRASQ_CHECK(!options_.packed || !options_.device.is_cpu(), kInternal, kInTransformer,
               "gradients need dense weights");
}

at::Tensor Transformer::forward(const at::Tensor& ids, policy::Policy& policy) const {
  const at::NoGradGuard no_grad;
  return run(ids, policy);
}

at::Tensor Transformer::differentiable_forward(const at::Tensor& ids,
                                               policy::Policy& policy) const {
  check_dense();
  return run(ids, policy);
}

at::Tensor Transformer::run(const at::Tensor& ids, policy::Policy& policy) const {
  at::Tensor h = embedding_.rows(ids);
  if (config_.embedding_scale != 1) h = h * config_.embedding_scale;
  policy.begin(ids.size(0));
  for (int64_t i = 0; i < config_.n_layers; ++i) h = layer_forward(i, h, policy);
  policy.end();
  return ops::rms_norm(h, output_norm_, config_.rms_norm_eps);
}

at::Tensor Transformer::layer_forward(int64_t index, at::Tensor h, policy::Policy& policy) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const double eps = config_.rms_norm_eps;
  const int64_t n_tokens = h.size(0), n_q = config_.n_heads * config_.head_dim;
  const int64_t n_kv = config_.n_kv_heads * config_.head_dim;

  // What training would keep of norms and the feed-forward part is several times what it keeps of
  // all the rest. Where they hold no trained weights, each is a function of one tensor.
  const auto kept_small = [&](const std::function<at::Tensor(const at::Tensor&)>& function) {
    return trains_weights_ ? function(h) : ops::recomputed(function, h);
  };
  const at::Tensor x = kept_small(
      [norm = layer.attn_norm, eps](const at::Tensor& t) { return ops::rms_norm(t, norm, eps); });
  const at::Tensor qkv = linear(layer.qkv, layer.qkv_lora, x);
  const auto heads = [&](int64_t first, int64_t width, const at::Tensor& norm) {
    const at::Tensor split = ops::columns(qkv, first, width)
                                 .view({n_tokens, width / config_.head_dim, config_.head_dim});
    return norm.defined() ? ops::rms_norm(split, norm, eps) : split;
  };
  at::Tensor o = policy.attend({.layer = index,
                                .x = x,
                                .q = heads(0, n_q, layer.q_norm),
                                .k = heads(n_q, n_kv, layer.k_norm),
                                .v = heads(n_q + n_kv, n_kv, {})});
  o = linear(layer.out, layer.out_lora, o.reshape({n_tokens, n_q}));
  if (layer.post_attn_norm.defined()) o = ops::rms_norm(o, layer.post_attn_norm, eps);
  h = ops::add(h, o);

  at::Tensor f = kept_small([norm = layer.ffn_norm, gate_up = layer.gate_up, eps,
                             activation = config_.activation](const at::Tensor& t) {
    return ops::gated(gate_up(ops::rms_norm(t, norm, eps)), activation);
  });
  f = linear(layer.down, layer.down_lora, f);
  if (layer.post_ffn_norm.defined()) f = ops::rms_norm(f, layer.post_ffn_norm, eps);
  return ops::add(h, f);
}

at::Tensor Transformer::logits(const at::Tensor& states) const {
  const at::NoGradGuard no_grad;
  return ops::softcap(ops::at_least_float(head_(states)), config_.final_logit_softcap);
}

at::Tensor Transformer::differentiable_logits(const at::Tensor& states) const {
  check_dense();
  return ops::softcap(ops::at_least_float(head_(states)), config_.final_logit_softcap);
}

int64_t Transformer::logit_rows(int64_t n) const {
  const int64_t most = options_.device.is_cpu() ? kLogitElementsCpu : kLogitElements;
  return std::clamp<int64_t>(most / config_.vocab_size, 1, std::max<int64_t>(1, n));
}

size_t Transformer::bytes() const {
  size_t bytes = embedding_.bytes() + (head_.shares_weight(embedding_) ? 0 : head_.bytes());
  for (const Layer& layer : layers_)
    bytes += layer.qkv.bytes() + layer.out.bytes() + layer.gate_up.bytes() + layer.down.bytes() +
             layer.qkv_lora.bytes() + layer.out_lora.bytes() + layer.down_lora.bytes();
  return bytes;
}

}  // namespace dsrasq::model
