#include "dsrasq/checkpoint/model_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "dsrasq/core/error.h"

namespace dsrasq::checkpoint {
namespace {

constexpr int64_t kMaxLayers = 1000, kMaxEmbd = 1 << 20, kMaxFf = 1 << 24, kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 512, kMaxVocab = 1 << 24, kMaxContext = int64_t{1} << 32;

/// The shortest text that reads back as the same float.
std::string number_text(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), static_cast<float>(value)).ptr;
  return {text, end};
}

const char* scaling_name(RopeScaling::Kind kind) {
  switch (kind) {
    case RopeScaling::Kind::kNone: return "none";
    case RopeScaling::Kind::kLinear: return "linear";
    case RopeScaling::Kind::kLlama3: return "llama3";
    case RopeScaling::Kind::kYarn: return "yarn";
  }
  return "";
}

/// Refuses values by what they are and what they should be.
struct Checker {
  const std::string& source;

  template <class... Parts>
  void operator()(bool ok, const Parts&... parts) const {
    DSRASQ_CHECK(ok, kBadInput, "checkpoint.config", source, ": ", parts...);
  }
  void integer(const char* what, int64_t value, int64_t most) const {
    (*this)(value >= 1 && value <= most, "has ", what, ' ', value, ", want 1 to ", most);
  }
  void real(const char* what, double value, double least, double most) const {
    (*this)(value >= least && value <= most, "has ", what, ' ', number_text(value), ", want ",
            number_text(least), " to ", number_text(most));
  }
};

void check_rope_scaling(const ModelConfig& config, const Checker& check) {
  const RopeScaling& scaling = config.rope_scaling;
  check.real("a RoPE scaling factor of", scaling.factor, 1e-3, 1e6);
  check.real("a RoPE attention factor of", scaling.attention_factor, 1e-3, 1e3);
  if (scaling.kind == RopeScaling::Kind::kLlama3 || scaling.kind == RopeScaling::Kind::kYarn) {
    check.integer("an original context length of", scaling.original_context, kMaxContext);
    check.real("a RoPE beta_slow of", scaling.beta_slow, 1e-6, 1e6);
    check.real("a RoPE beta_fast of", scaling.beta_fast, scaling.beta_slow, 1e6);
    check.real("a RoPE low_freq_factor of", scaling.low_freq_factor, 1e-6, 1e6);
    check(scaling.high_freq_factor > scaling.low_freq_factor, "has a RoPE high_freq_factor of ",
          number_text(scaling.high_freq_factor), ", want more than the low_freq_factor of ",
          number_text(scaling.low_freq_factor));
  }
  const auto n_divisors = static_cast<int64_t>(scaling.frequency_divisors.size());
  check(n_divisors == 0 || n_divisors == config.head_dim / 2, "has ", n_divisors,
        " RoPE frequency divisors, want ", config.head_dim / 2);
  for (const float divisor : scaling.frequency_divisors) {
    check.real("a RoPE frequency divisor of", divisor, 1e-6, 1e6);
  }
}

/// Llama 3.1: long waves are divided by the factor, short ones kept, those between interpolated.
double llama3_frequency(double frequency, const RopeScaling& scaling) {
  const auto context = static_cast<double>(scaling.original_context);
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < context / scaling.high_freq_factor) return frequency;
  if (wavelength > context / scaling.low_freq_factor) return frequency / scaling.factor;
  const double smooth = (context / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - smooth) * frequency / scaling.factor + smooth * frequency;
}

/// YaRN (arXiv:2309.00071, section 3.2): the dimension at which a wave turns `rotations` times
/// within the original context.
double yarn_dimension(double rotations, const ModelConfig& config) {
  const auto context = static_cast<double>(config.rope_scaling.original_context);
  return static_cast<double>(config.head_dim) *
         std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(config.rope_theta));
}

void scale_yarn(const ModelConfig& config, std::vector<double>& frequencies) {
  const RopeScaling& scaling = config.rope_scaling;
  double low = yarn_dimension(scaling.beta_fast, config);
  double high = yarn_dimension(scaling.beta_slow, config);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.head_dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = frequencies[i] / scaling.factor * ramp + frequencies[i] * (1 - ramp);
  }
}

}  // namespace

const char* architecture_name(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama: return "llama";
    case Architecture::kMistral: return "mistral";
    case Architecture::kQwen2: return "qwen2";
    case Architecture::kQwen3: return "qwen3";
    case Architecture::kGemma2: return "gemma2";
    case Architecture::kGemma3: return "gemma3";
  }
  return "";
}

bool is_gemma(Architecture architecture) {
  return architecture == Architecture::kGemma2 || architecture == Architecture::kGemma3;
}

ModelConfig family_config(Architecture architecture) {
  ModelConfig config;
  config.architecture = architecture;
  config.has_qk_norm =
      architecture == Architecture::kQwen3 || architecture == Architecture::kGemma3;
  config.has_qkv_bias = architecture == Architecture::kQwen2;
  config.has_post_norms = is_gemma(architecture);
  config.activation = is_gemma(architecture) ? Activation::kGeluTanh : Activation::kSilu;
  config.rms_norm_eps = 1e-6;
  config.rope_theta = architecture == Architecture::kGemma3 ? 1e6 : 1e4;
  if (architecture == Architecture::kGemma2) {
    config.attention_logit_softcap = 50;
    config.final_logit_softcap = 30;
  }
  return config;
}

void check_sizes(const ModelConfig& config, const std::string& source) {
  const Checker check{source};
  check.integer("a layer count of", config.n_layers, kMaxLayers);
  check.integer("a width of", config.n_embd, kMaxEmbd);
  check.integer("a feed-forward width of", config.n_ff, kMaxFf);
  check.integer("a head count of", config.n_heads, kMaxHeads);
  check.integer("a KV head count of", config.n_kv_heads, kMaxHeads);
  check(config.n_heads % config.n_kv_heads == 0, "has ", config.n_heads,
        " heads, which is no multiple of its ", config.n_kv_heads, " KV heads");
  check.integer("a head size of", config.head_dim, kMaxHeadDim);
  check(config.head_dim % 2 == 0, "has a head size of ", config.head_dim, ", want an even one");
  check.integer("a vocabulary of", config.vocab_size, kMaxVocab);
  check.integer("a context length of", config.context_length, kMaxContext);
}

void check_config(const ModelConfig& config, const std::string& source) {
  check_sizes(config, source);
  const Checker check{source};
  check.real("an RMS norm epsilon of", config.rms_norm_eps, 0, 1);
  check.real("a RoPE base of", config.rope_theta, 1.001, 1e15);
  check.real("a local RoPE base of", config.rope_local_theta, 1.001, 1e15);
  check.real("an attention scale of", config.attention_scale, 1e-6, 1e3);
  check.real("an embedding scale of", config.embedding_scale, 1e-6, 1e6);
  check.real("an attention softcap of", config.attention_logit_softcap, 0, 1e6);
  check.real("a logit softcap of", config.final_logit_softcap, 0, 1e6);
  check(static_cast<int64_t>(config.sliding_window.size()) == config.n_layers, "has ",
        config.sliding_window.size(), " layer types for ", config.n_layers, " layers");
  for (const int64_t window : config.sliding_window) {
    check(window >= 0 && window <= kMaxContext, "has a sliding window of ", window);
  }
  check_rope_scaling(config, check);
}

std::vector<std::pair<std::string, std::string>> config_fields(const ModelConfig& config) {
  const auto integer = [](int64_t value) { return std::to_string(value); };
  const auto truth = [](bool value) { return std::string(value ? "true" : "false"); };
  const RopeScaling& scaling = config.rope_scaling;
  std::string windows, divisors;
  for (const int64_t window : config.sliding_window) windows += integer(window) + ' ';
  for (const float divisor : scaling.frequency_divisors) divisors += number_text(divisor) + ' ';
  return {
      {"architecture", architecture_name(config.architecture)},
      {"name", config.name},
      {"n_layers", integer(config.n_layers)},
      {"n_embd", integer(config.n_embd)},
      {"n_ff", integer(config.n_ff)},
      {"n_heads", integer(config.n_heads)},
      {"n_kv_heads", integer(config.n_kv_heads)},
      {"head_dim", integer(config.head_dim)},
      {"vocab_size", integer(config.vocab_size)},
      {"context_length", integer(config.context_length)},
      {"rms_norm_eps", number_text(config.rms_norm_eps)},
      {"rope_theta", number_text(config.rope_theta)},
      {"rope_local_theta", number_text(config.rope_local_theta)},
      {"rope_scaling", scaling_name(scaling.kind)},
      {"rope_factor", number_text(scaling.factor)},
      {"rope_low_freq_factor", number_text(scaling.low_freq_factor)},
      {"rope_high_freq_factor", number_text(scaling.high_freq_factor)},
      {"rope_beta_fast", number_text(scaling.beta_fast)},
      {"rope_beta_slow", number_text(scaling.beta_slow)},
      {"rope_truncate", truth(scaling.truncate)},
      {"rope_attention_factor", number_text(scaling.attention_factor)},
      {"rope_original_context", integer(scaling.original_context)},
      {"rope_frequency_divisors", divisors},
      {"attention_scale", number_text(config.attention_scale)},
      {"embedding_scale", number_text(config.embedding_scale)},
      {"attention_logit_softcap", number_text(config.attention_logit_softcap)},
      {"final_logit_softcap", number_text(config.final_logit_softcap)},
      {"sliding_window", windows},
      {"has_qk_norm", truth(config.has_qk_norm)},
      {"has_qkv_bias", truth(config.has_qkv_bias)},
      {"has_post_norms", truth(config.has_post_norms)},
      {"norm_weight_is_offset", truth(config.norm_weight_is_offset)},
      {"activation", config.activation == Activation::kSilu ? "silu" : "gelu_tanh"},
      {"tied_embeddings", truth(config.tied_embeddings)},
  };
}

RopeTable rope_table(const ModelConfig& config, bool is_sliding_layer) {
  const bool is_local = is_sliding_layer && config.architecture == Architecture::kGemma3;
  const double theta = is_local ? config.rope_local_theta : config.rope_theta;
  RopeTable table;
  for (int64_t i = 0; i < config.head_dim; i += 2) {
    table.inverse_frequencies.push_back(
        std::pow(theta, -static_cast<double>(i) / static_cast<double>(config.head_dim)));
  }
  if (is_local) return table;
  const RopeScaling& scaling = config.rope_scaling;
  auto& frequencies = table.inverse_frequencies;
  switch (scaling.kind) {
    case RopeScaling::Kind::kNone: break;
    case RopeScaling::Kind::kLinear:
      for (double& frequency : frequencies) frequency /= scaling.factor;
      break;
    case RopeScaling::Kind::kLlama3:
      for (double& frequency : frequencies) frequency = llama3_frequency(frequency, scaling);
      break;
    case RopeScaling::Kind::kYarn:
      scale_yarn(config, frequencies);
      table.attention_factor = scaling.attention_factor;
      break;
  }
  for (size_t i = 0; i < scaling.frequency_divisors.size(); ++i) {
    frequencies[i] /= scaling.frequency_divisors[i];
  }
  return table;
}

}  // namespace dsrasq::checkpoint
