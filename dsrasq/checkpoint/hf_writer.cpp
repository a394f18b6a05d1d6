#include "dsrasq/checkpoint/hf_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::checkpoint {
namespace {

constexpr const char* kInHfWriter = "checkpoint.hf_writer";

const char* torch_name(formats::Dtype dtype) {
  switch (dtype) {
    case formats::Dtype::kF32: return "float32";
    case formats::Dtype::kF16: return "float16";
    case formats::Dtype::kBF16: return "bfloat16";
    default: break;
  }
  throw Error(ErrorCode::kInvalidArgument, kInHfWriter,
              concat("weights of type ", formats::dtype_name(dtype)));
}

nlohmann::ordered_json llama_config(const ModelConfig& c, const EndTokens& ends,
                                    formats::Dtype dtype) {
  nlohmann::ordered_json config{{"architectures", {"LlamaForCausalLM"}},
                                {"model_type", "llama"},
                                {"hidden_size", c.n_embd},
                                {"intermediate_size", c.n_ff},
                                {"num_hidden_layers", c.n_layers},
                                {"num_attention_heads", c.n_heads},
                                {"num_key_value_heads", c.n_kv_heads},
                                {"head_dim", c.head_dim},
                                {"vocab_size", c.vocab_size},
                                {"max_position_embeddings", c.context_length},
                                {"rms_norm_eps", c.rms_norm_eps},
                                {"rope_theta", c.rope_theta},
                                {"hidden_act", "silu"},
                                {"attention_bias", false},
                                {"mlp_bias", false},
                                {"tie_word_embeddings", c.tied_embeddings},
                                {"torch_dtype", torch_name(dtype)}};
  if (ends.bos) config["bos_token_id"] = *ends.bos;
  if (ends.eos) config["eos_token_id"] = *ends.eos;
  return config;
}

void check_plain_llama(const ModelConfig& config) {
  DSRASQ_CHECK(config.architecture == Architecture::kLlama && !config.has_qk_norm &&
                   !config.has_qkv_bias && !config.has_post_norms &&
                   config.activation == Activation::kSilu &&
                   config.rope_scaling.kind == RopeScaling::Kind::kNone,
               kInvalidArgument, kInHfWriter, "only a plain Llama can be written");
}

}  // namespace

void write_hugging_face_folder(const std::filesystem::path& folder, const ModelConfig& config,
                               const EndTokens& ends,
                               std::span<const formats::NamedTensor> tensors) {
  check_plain_llama(config);
  std::vector<formats::NamedTensor> renamed;
  for (const WantedTensor& wanted : wanted_tensors(config)) {
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto& tensor) {
      return tensor.name == wanted.name && tensor.shape == wanted.shape;
    });
    DSRASQ_CHECK(found != tensors.end(), kInvalidArgument, kInHfWriter, "no tensor ", wanted.name,
                 " of the configuration's shape");
    renamed.push_back(*found);
    renamed.back().name = hugging_face_name(wanted.name, config.architecture, "model.");
  }
  const std::string text = llama_config(config, ends, renamed.front().dtype).dump(2) + '\n';
  formats::write_safetensors(folder / "model.safetensors", renamed, {{"format", "pt"}});
  write_file(folder / "config.json", text);
}

}  // namespace dsrasq::checkpoint
