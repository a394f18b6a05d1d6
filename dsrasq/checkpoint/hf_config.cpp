#include "dsrasq/checkpoint/hf_config.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/formats/byte_reader.h"

namespace dsrasq::checkpoint {
namespace {

using nlohmann::json;

constexpr const char* kInHfConfig = "checkpoint.hf_config";
constexpr uint64_t kMaxConfigBytes = 1 << 20;

struct Family {
  const char* model_type;
  Architecture architecture;
};
constexpr std::array kFamilies{
    Family{"llama", Architecture::kLlama},   Family{"mistral", Architecture::kMistral},
    Family{"qwen2", Architecture::kQwen2},   Family{"qwen3", Architecture::kQwen3},
    Family{"gemma2", Architecture::kGemma2}, Family{"gemma3_text", Architecture::kGemma3},
    Family{"gemma3", Architecture::kGemma3}};

/// A JSON object of a file; null counts as absent.
class Fields {
 public:
  Fields(const json& object, std::string file) : object_(object), file_(std::move(file)) {}

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(ErrorCode::kBadInput, kInHfConfig, concat(file_, ": ", parts...));
  }

  const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<int64_t> find_int(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer()) fail("\"", key, "\" is no integer");
    if (value->is_number_unsigned() && value->get<uint64_t>() > INT32_MAX) {
      fail("\"", key, "\" is ", value->get<uint64_t>(), ", which no model has");
    }
    return value->get<int64_t>();
  }
  int64_t require_int(const char* key) const {
    const auto value = find_int(key);
    if (!value) fail("has no \"", key, "\"");
    return *value;
  }
  std::optional<double> find_number(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) fail("\"", key, "\" is no number");
    return value->get<double>();
  }
  std::optional<bool> find_bool(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) fail("\"", key, "\" is neither true nor false");
    return value->get<bool>();
  }
  std::string text_or(const char* key, const char* otherwise) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) fail("\"", key, "\" is no text");
    return value->get<std::string>();
  }
  bool has_null(const char* key) const {
    const auto found = object_.find(key);
    return found != object_.end() && found->is_null();
  }
  /// 0 when it is null, which means none; `otherwise` when it is absent.
  double softcap(const char* key, double otherwise) const {
    return has_null(key) ? 0 : find_number(key).value_or(otherwise);
  }
  std::optional<Fields> find_object(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) fail("\"", key, "\" is no object");
    return Fields(*value, file_);
  }

 private:
  const json& object_;
  std::string file_;
};

Architecture read_architecture(const Fields& fields) {
  const std::string type = fields.text_or("model_type", "");
  std::string supported;
  for (const Family& family : kFamilies) {
    if (type == family.model_type) return family.architecture;
    supported += concat(supported.empty() ? "" : ", ", family.model_type);
  }
  fields.fail("model_type ", formats::quoted_text(type), " is not supported; supported are ",
              supported);
}

/// What would change the result and cannot be done.
void refuse_unsupported(const Fields& fields, Architecture architecture) {
  if (const auto quantised = fields.find_object("quantization_config")) {
    fields.fail("is quantised (", formats::quoted_text(quantised->text_or("quant_method", "?")),
                "); Hugging Face folders are read in F32, F16 and BF16, quantised models as GGUF");
  }
  for (const char* flag : {"attention_bias", "mlp_bias", "use_bidirectional_attention"}) {
    if (fields.find_bool(flag).value_or(false)) fields.fail("\"", flag, "\" is not supported");
  }
  if (fields.find_number("partial_rotary_factor").value_or(1) != 1) {
    fields.fail("\"partial_rotary_factor\" is not supported");
  }
  const bool gemma = is_gemma(architecture);
  const char* key = gemma ? "hidden_activation" : "hidden_act";
  const char* wanted = gemma ? "gelu_pytorch_tanh" : "silu";
  const std::string activation = fields.text_or(key, wanted);
  if (activation != wanted) {
    fields.fail("\"", key, "\" ", formats::quoted_text(activation), " is not supported, want \"",
                wanted, "\"");
  }
}

void read_sizes(const Fields& fields, ModelConfig& config) {
  const bool gemma_3 = config.architecture == Architecture::kGemma3;
  config.n_layers = fields.require_int("num_hidden_layers");
  config.n_embd = fields.require_int("hidden_size");
  config.n_ff = fields.require_int("intermediate_size");
  // Folders of Gemma 3 leave out what is as in its 4B model.
  const auto int_or = [&](const char* key, int64_t of_gemma_3) {
    return gemma_3 ? fields.find_int(key).value_or(of_gemma_3) : fields.require_int(key);
  };
  config.n_heads = int_or("num_attention_heads", 8);
  if (config.n_heads < 1) fields.fail("\"num_attention_heads\" is ", config.n_heads);
  config.n_kv_heads = fields.find_int("num_key_value_heads").value_or(gemma_3 ? 4 : config.n_heads);
  config.head_dim =
      fields.find_int("head_dim")
          .value_or(is_gemma(config.architecture) ? 256 : config.n_embd / config.n_heads);
  config.vocab_size = int_or("vocab_size", 262208);
  config.context_length = int_or("max_position_embeddings", 131072);
}

void read_yarn(const Fields& rope, RopeScaling& scaling) {
  const auto scale = [&](double mscale) {
    return scaling.factor <= 1 ? 1 : 1 + 0.1 * mscale * std::log(scaling.factor);
  };
  scaling.beta_fast = rope.find_number("beta_fast").value_or(32);
  scaling.beta_slow = rope.find_number("beta_slow").value_or(1);
  scaling.truncate = rope.find_bool("truncate").value_or(true);
  const double mscale = rope.find_number("mscale").value_or(0);
  const double mscale_all = rope.find_number("mscale_all_dim").value_or(0);
  const double usual =
      mscale != 0 && mscale_all != 0 ? scale(mscale) / scale(mscale_all) : scale(1);
  scaling.attention_factor = rope.find_number("attention_factor").value_or(usual);
}

void read_scaling(const Fields& rope, ModelConfig& config) {
  RopeScaling& scaling = config.rope_scaling;
  const std::string type = rope.text_or("rope_type", rope.text_or("type", "default").c_str());
  if (rope.find_number("partial_rotary_factor").value_or(1) != 1) {
    rope.fail("\"partial_rotary_factor\" is not supported");
  }
  if (type == "default") return;
  const auto factor = rope.find_number("factor");
  if (!factor) rope.fail("RoPE of type ", formats::quoted_text(type), " has no \"factor\"");
  scaling.factor = *factor;
  scaling.original_context =
      rope.find_int("original_max_position_embeddings").value_or(config.context_length);
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.low_freq_factor = rope.find_number("low_freq_factor").value_or(1);
    scaling.high_freq_factor = rope.find_number("high_freq_factor").value_or(4);
  } else if (type == "yarn") {
    scaling.kind = RopeScaling::Kind::kYarn;
    read_yarn(rope, scaling);
  } else {
    rope.fail("RoPE of type ", formats::quoted_text(type),
              " is not supported; supported are default, linear, llama3, yarn");
  }
}

/// transformers 4: rope_theta, rope_local_base_freq, rope_scaling. 5: rope_parameters, for models
/// with two kinds of layers one for each kind.
void read_rope(const Fields& fields, ModelConfig& config) {
  const bool has_local = config.architecture == Architecture::kGemma3;
  const auto theta_of = [](const Fields& rope, double otherwise) {
    return rope.find_number("rope_theta").value_or(otherwise);
  };
  config.rope_theta = theta_of(fields, config.rope_theta);
  double local = fields.find_number("rope_local_base_freq").value_or(1e4);
  const auto parameters = fields.find_object("rope_parameters");
  if (parameters && parameters->find("full_attention") != nullptr) {
    const auto full = parameters->find_object("full_attention");
    const auto sliding = parameters->find_object("sliding_attention");
    config.rope_theta = theta_of(*full, config.rope_theta);
    if (sliding) local = theta_of(*sliding, local);
    read_scaling(*full, config);
  } else if (parameters) {
    config.rope_theta = theta_of(*parameters, config.rope_theta);
    read_scaling(*parameters, config);
  } else if (const auto scaling = fields.find_object("rope_scaling")) {
    read_scaling(*scaling, config);
  }
  config.rope_local_theta = has_local ? local : config.rope_theta;
}

/// Which layers slide when the folder does not list them.
bool slides_by_default(const Fields& fields, Architecture architecture, int64_t layer) {
  switch (architecture) {
    case Architecture::kMistral: return true;
    case Architecture::kQwen2:
    case Architecture::kQwen3: return layer >= fields.find_int("max_window_layers").value_or(28);
    case Architecture::kGemma2: return layer % 2 == 0;
    case Architecture::kGemma3: {
      const int64_t period = fields.find_int("sliding_window_pattern").value_or(6);
      return period < 1 || (layer + 1) % period != 0;
    }
    case Architecture::kLlama: return false;
  }
  return false;
}

void read_windows(const Fields& fields, ModelConfig& config) {
  const bool is_qwen =
      config.architecture == Architecture::kQwen2 || config.architecture == Architecture::kQwen3;
  const bool is_off = is_qwen && !fields.find_bool("use_sliding_window").value_or(false);
  const bool is_llama = config.architecture == Architecture::kLlama;
  // When the key is absent, not null, transformers takes 4096.
  const int64_t width =
      fields.has_null("sliding_window") ? 0 : fields.find_int("sliding_window").value_or(4096);
  config.sliding_window.assign(static_cast<size_t>(config.n_layers), 0);
  if (is_off || is_llama || width == 0) return;
  const json* types = fields.find("layer_types");
  if (types != nullptr && (!types->is_array() || types->size() != config.sliding_window.size())) {
    fields.fail("\"layer_types\" is no list of ", config.n_layers, " layers");
  }
  for (size_t i = 0; i < config.sliding_window.size(); ++i) {
    bool slides = slides_by_default(fields, config.architecture, static_cast<int64_t>(i));
    if (types != nullptr) {
      const json& type = (*types)[i];
      slides = type == "sliding_attention";
      if (!slides && type != "full_attention") {
        fields.fail("\"layer_types\" of layer ", i,
                    " is neither \"full_attention\" nor "
                    "\"sliding_attention\"");
      }
    }
    if (slides) config.sliding_window[i] = width;
  }
}

ModelConfig read_config(const Fields& fields, const Fields& outer, const std::string& file,
                        bool has_output) {
  const Architecture architecture = read_architecture(outer);
  refuse_unsupported(outer, architecture);
  refuse_unsupported(fields, architecture);
  ModelConfig config = family_config(architecture);
  read_sizes(fields, config);
  check_sizes(config, file);
  config.rms_norm_eps = fields.find_number("rms_norm_eps").value_or(config.rms_norm_eps);
  config.tied_embeddings = outer.find_bool("tie_word_embeddings").value_or(!has_output);
  config.norm_weight_is_offset = is_gemma(architecture);
  double divisor = static_cast<double>(config.head_dim);
  if (is_gemma(architecture)) {
    config.embedding_scale = std::sqrt(static_cast<double>(config.n_embd));
    divisor = fields.find_number("query_pre_attn_scalar").value_or(256);
    config.attention_logit_softcap =
        fields.softcap("attn_logit_softcapping", config.attention_logit_softcap);
    config.final_logit_softcap =
        fields.softcap("final_logit_softcapping", config.final_logit_softcap);
  }
  config.attention_scale = 1 / std::sqrt(divisor);
  read_rope(fields, config);
  read_windows(fields, config);
  check_config(config, file);
  return config;
}

}  // namespace

ModelConfig read_hugging_face_config(const std::filesystem::path& path, bool has_output) {
  const std::string text = read_file(path, kMaxConfigBytes);
  const json root = json::parse(text, nullptr, false);
  const std::string file = path.string();
  DSRASQ_CHECK(root.is_object(), kBadInput, kInHfConfig, file, ": is no JSON object");
  const Fields outer(root, file);
  const auto inner = outer.find_object("text_config");  // of a model that also reads images
  ModelConfig config = read_config(inner ? *inner : outer, outer, file, has_output);
  config.name = formats::printable_text(
      outer.text_or("_name_or_path", path.parent_path().filename().string().c_str()));
  return config;
}

}  // namespace dsrasq::checkpoint
