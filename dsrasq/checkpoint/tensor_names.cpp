#include "dsrasq/checkpoint/tensor_names.h"

#include <array>

#include "dsrasq/core/error.h"

namespace dsrasq::checkpoint {
namespace {

struct Names {
  std::string_view canonical, hugging_face;
};

constexpr std::array kLayerNames{
    Names{"attn_norm", "input_layernorm"},
    Names{"attn_q", "self_attn.q_proj"},
    Names{"attn_k", "self_attn.k_proj"},
    Names{"attn_v", "self_attn.v_proj"},
    Names{"attn_output", "self_attn.o_proj"},
    Names{"attn_q_norm", "self_attn.q_norm"},
    Names{"attn_k_norm", "self_attn.k_norm"},
    Names{"post_attention_norm", "post_attention_layernorm"},  // Gemma
    Names{"ffn_norm", "pre_feedforward_layernorm"},            // Gemma
    Names{"post_ffw_norm", "post_feedforward_layernorm"},      // Gemma
    Names{"ffn_gate", "mlp.gate_proj"},
    Names{"ffn_up", "mlp.up_proj"},
    Names{"ffn_down", "mlp.down_proj"},
};

void add_layer(const ModelConfig& config, const std::string& prefix,
               std::vector<WantedTensor>& wanted) {
  const int64_t width = config.n_embd;
  const int64_t q = config.n_heads * config.head_dim, kv = config.n_kv_heads * config.head_dim;
  const auto add = [&](const char* name, std::vector<int64_t> shape) {
    wanted.push_back({prefix + name, std::move(shape)});
  };
  add("attn_norm.weight", {width});
  add("attn_q.weight", {q, width});
  add("attn_k.weight", {kv, width});
  add("attn_v.weight", {kv, width});
  add("attn_output.weight", {width, q});
  add("ffn_norm.weight", {width});
  add("ffn_gate.weight", {config.n_ff, width});
  add("ffn_up.weight", {config.n_ff, width});
  add("ffn_down.weight", {width, config.n_ff});
  if (config.has_qkv_bias) {
    add("attn_q.bias", {q});
    add("attn_k.bias", {kv});
    add("attn_v.bias", {kv});
  }
  if (config.has_qk_norm) {
    add("attn_q_norm.weight", {config.head_dim});
    add("attn_k_norm.weight", {config.head_dim});
  }
  if (config.has_post_norms) {
    add("post_attention_norm.weight", {width});
    add("post_ffw_norm.weight", {width});
  }
}

}  // namespace

std::vector<WantedTensor> wanted_tensors(const ModelConfig& config) {
  std::vector<WantedTensor> wanted;
  wanted.push_back({"token_embd.weight", {config.vocab_size, config.n_embd}});
  wanted.push_back({"output_norm.weight", {config.n_embd}});
  if (!config.tied_embeddings) {
    wanted.push_back({"output.weight", {config.vocab_size, config.n_embd}});
  }
  for (int64_t layer = 0; layer < config.n_layers; ++layer) {
    add_layer(config, concat("blk.", layer, '.'), wanted);
  }
  return wanted;
}

std::vector<std::string> unwanted_tensors(const ModelConfig& config) {
  std::vector<std::string> names{"output.bias",         "blk.0.attn_output.bias",
                                 "blk.0.ffn_gate.bias", "blk.0.ffn_up.bias",
                                 "blk.0.ffn_down.bias", "blk.0.ffn_gate_inp.weight"};
  if (!config.has_qkv_bias) names.emplace_back("blk.0.attn_q.bias");
  if (!config.has_qk_norm) names.emplace_back("blk.0.attn_q_norm.weight");
  return names;
}

std::string hugging_face_name(std::string_view name, Architecture architecture,
                              std::string_view prefix) {
  const size_t dot = name.rfind('.');
  const std::string_view suffix = name.substr(dot);  // ".weight" or ".bias"
  std::string_view stem = name.substr(0, dot);
  if (stem == "token_embd") return concat(prefix, "embed_tokens", suffix);
  if (stem == "output_norm") return concat(prefix, "norm", suffix);
  if (!stem.starts_with("blk.")) return concat("lm_head", suffix);
  stem.remove_prefix(4);
  const size_t layer_end = stem.find('.');
  const std::string_view layer = stem.substr(0, layer_end);
  stem.remove_prefix(layer_end + 1);
  std::string_view found = stem;
  for (const Names& names : kLayerNames) {
    if (names.canonical == stem) found = names.hugging_face;
  }
  // Outside Gemma this name means the norm before the feed-forward part.
  if (stem == "ffn_norm" && !is_gemma(architecture)) found = "post_attention_layernorm";
  return concat(prefix, "layers.", layer, '.', found, suffix);
}

}  // namespace dsrasq::checkpoint
