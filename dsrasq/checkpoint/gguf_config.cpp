#include "dsrasq/checkpoint/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "dsrasq/checkpoint/gguf_parts.h"
#include "dsrasq/core/error.h"
#include "dsrasq/formats/byte_reader.h"
#include "dsrasq/formats/dequantize.h"

namespace dsrasq::checkpoint {
namespace {

using formats::GgmlType;
using formats::GgufFile;
using formats::GgufTensor;

constexpr const char* kInGgufConfig = "checkpoint.gguf_config";
constexpr std::array kArchitectures{Architecture::kLlama, Architecture::kQwen2,
                                    Architecture::kQwen3, Architecture::kGemma2,
                                    Architecture::kGemma3};

/// The keys of one file, which all start with the architecture's name.
class Keys {
 public:
  Keys(const GgufFile& file, const std::string& architecture)
      : file_(file), prefix_(architecture + '.') {}

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(ErrorCode::kBadInput, kInGgufConfig, concat(file_.path().string(), ": ", parts...));
  }

  bool has(std::string_view name) const { return file_.has(key(name)); }

  /// A number, or an array with one for each layer, which must all be the same.
  std::optional<int64_t> find_int(std::string_view name) const {
    const std::string full = key(name);
    if (file_.array_length(full)) {
      const auto items = file_.ints(full);
      const auto other = [&](int32_t item) { return item != items.front(); };
      if (items.empty() || std::any_of(items.begin(), items.end(), other)) {
        fail("key ", full, " differs between layers, which is not supported");
      }
      return items.front();
    }
    const auto value = file_.find_uint(full);
    if (value && *value > INT32_MAX) fail("key ", full, " is ", *value, ", which no model has");
    return value;
  }
  int64_t require_int(std::string_view name) const {
    const auto value = find_int(name);
    if (!value) fail("has no key ", key(name));
    return *value;
  }
  double float_or(std::string_view name, double value) const {
    return file_.find_float(key(name)).value_or(value);
  }
  std::string_view string_or(std::string_view name, std::string_view value) const {
    return file_.find_string(key(name)).value_or(value);
  }
  /// [n_layers] of a bool array, or nothing when the key is absent or a single number.
  std::vector<int32_t> find_flags(std::string_view name) const {
    const std::string full = key(name);
    return file_.array_length(full) ? file_.ints(full) : std::vector<int32_t>{};
  }

 private:
  std::string key(std::string_view name) const { return prefix_ + std::string(name); }

  const GgufFile& file_;
  std::string prefix_;
};

Architecture read_architecture(const GgufFile& file) {
  const auto name = file.find_string("general.architecture");
  DSRASQ_CHECK(name, kBadInput, kInGgufConfig, file.path().string(),
               ": has no key general.architecture");
  std::string supported;
  for (const Architecture architecture : kArchitectures) {
    if (*name == architecture_name(architecture)) return architecture;
    supported += concat(supported.empty() ? "" : ", ", architecture_name(architecture));
  }
  throw Error(ErrorCode::kBadInput, kInGgufConfig,
              concat(file.path().string(), ": architecture ", formats::quoted_text(*name),
                     " is not supported; supported are ", supported));
}

void read_sizes(const Keys& keys, const GgufParts& model, ModelConfig& config) {
  config.n_layers = keys.require_int("block_count");
  config.n_embd = keys.require_int("embedding_length");
  config.n_ff = keys.require_int("feed_forward_length");
  config.n_heads = keys.require_int("attention.head_count");
  config.n_kv_heads = keys.find_int("attention.head_count_kv").value_or(config.n_heads);
  config.context_length = keys.require_int("context_length");
  if (config.n_heads == 0) keys.fail("has a head count of 0");
  const int64_t shared = config.n_embd / config.n_heads;
  config.head_dim = keys.find_int("attention.key_length").value_or(shared);
  const int64_t value_dim = keys.find_int("attention.value_length").value_or(config.head_dim);
  if (value_dim != config.head_dim) {
    keys.fail("has values of size ", value_dim, " and keys of size ", config.head_dim,
              "; only equal sizes are supported");
  }
  const int64_t rotated = keys.find_int("rope.dimension_count").value_or(config.head_dim);
  if (rotated != config.head_dim) {
    keys.fail("rotates ", rotated, " of ", config.head_dim,
              " dimensions; only RoPE over whole heads is supported");
  }
  if (keys.find_int("expert_count").value_or(0) > 0) {
    keys.fail("is a mixture of experts, which is not supported");
  }
  const GgufTensor* embeddings = model.find("token_embd.weight");
  if (embeddings == nullptr || embeddings->shape.size() != 2) {
    keys.fail("has no tensor token_embd.weight with two dimensions");
  }
  config.vocab_size = embeddings->shape[0];
  config.tied_embeddings = model.find("output.weight") == nullptr;
  config.has_qkv_bias |= model.find("blk.0.attn_q.bias") != nullptr;
}

void read_rope(const Keys& keys, const GgufParts& model, ModelConfig& config) {
  config.rope_theta = keys.float_or("rope.freq_base", config.rope_theta);
  const bool has_local = config.architecture == Architecture::kGemma3;
  config.rope_local_theta =
      keys.float_or("rope.freq_base_swa", has_local ? 1e4 : config.rope_theta);
  RopeScaling& scaling = config.rope_scaling;
  const std::string_view type = keys.string_or("rope.scaling.type", "none");
  scaling.factor = keys.float_or("rope.scaling.factor", 1);
  scaling.original_context =
      keys.find_int("rope.scaling.original_context_length").value_or(config.context_length);
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
  } else if (type == "yarn") {
    scaling.kind = RopeScaling::Kind::kYarn;
    scaling.beta_fast = keys.float_or("rope.scaling.yarn_beta_fast", 32);
    scaling.beta_slow = keys.float_or("rope.scaling.yarn_beta_slow", 1);
    scaling.attention_factor = keys.float_or("rope.scaling.yarn_attn_factor", 1) *
                               (1 + 0.1 * std::log(std::max(scaling.factor, 1.0)));
  } else if (type == "none") {
    scaling.factor = 1;
  } else {
    keys.fail("RoPE scaling ", formats::quoted_text(type),
              " is not supported; supported are linear, yarn, and llama3 as rope_freqs.weight");
  }
  // The converter stores Llama 3.1's scaling as these divisors.
  const GgufTensor* divisors = model.find("rope_freqs.weight");
  if (divisors == nullptr) return;
  if (divisors->type != GgmlType::kF32 ||
      divisors->shape != std::vector<int64_t>{config.head_dim / 2}) {
    keys.fail("tensor rope_freqs.weight is not F32 [", config.head_dim / 2, "]");
  }
  scaling.frequency_divisors.resize(static_cast<size_t>(config.head_dim / 2));
  formats::dequantize(GgmlType::kF32, divisors->bytes.data(), config.head_dim / 2,
                      scaling.frequency_divisors.data());
}

/// Gemma 2 and 3 of 27B scale by the width a head, not by the head's size, and files of llama.cpp's
/// converter do not say so: it too knows them by their layer count.
double attention_scale(const Keys& keys, const ModelConfig& config) {
  const bool is_27b = (config.architecture == Architecture::kGemma2 && config.n_layers == 46) ||
                      (config.architecture == Architecture::kGemma3 && config.n_layers == 62);
  const int64_t divisor = is_27b ? config.n_embd / config.n_heads : config.head_dim;
  return keys.float_or("attention.scale", 1 / std::sqrt(static_cast<double>(divisor)));
}

void read_windows(const Keys& keys, ModelConfig& config) {
  const bool gemma_2 = config.architecture == Architecture::kGemma2;
  const bool gemma_3 = config.architecture == Architecture::kGemma3;
  const bool is_qwen = config.architecture == Architecture::kQwen2 ||
                       config.architecture == Architecture::kQwen3;  // whose windows are unused
  const auto window = is_qwen ? std::nullopt : keys.find_int("attention.sliding_window");
  if (gemma_3 && !window) keys.fail("has no key gemma3.attention.sliding_window");
  const int64_t width = window.value_or(gemma_2 ? 4096 : 0);
  const auto n_layers = static_cast<size_t>(config.n_layers);
  config.sliding_window.assign(n_layers, width);
  if (const auto flags = keys.find_flags("attention.sliding_window_pattern"); !flags.empty()) {
    if (flags.size() != n_layers) {
      keys.fail("key attention.sliding_window_pattern has ", flags.size(), " items, want ",
                n_layers);
    }
    for (size_t i = 0; i < n_layers; ++i) config.sliding_window[i] = flags[i] != 0 ? width : 0;
    return;
  }
  // Every `period`-th layer attends to everything; 1: all of them do.
  const int64_t default_period = gemma_3 ? 6 : gemma_2 ? 2 : 0;
  const int64_t period = keys.has("attention.sliding_window_pattern")
                             ? keys.require_int("attention.sliding_window_pattern")
                             : default_period;
  for (int64_t i = 0; period > 0 && i < config.n_layers; ++i) {
    if (i % period == period - 1) config.sliding_window[static_cast<size_t>(i)] = 0;
  }
}

}  // namespace

ModelConfig read_gguf_config(const GgufParts& model) {
  const GgufFile& file = model.first();
  const Architecture architecture = read_architecture(file);
  const Keys keys(file, architecture_name(architecture));
  ModelConfig config = family_config(architecture);
  config.name = formats::printable_text(file.find_string("general.name").value_or(""));
  config.rms_norm_eps = keys.float_or("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  config.attention_logit_softcap =
      keys.float_or("attn_logit_softcapping", config.attention_logit_softcap);
  config.final_logit_softcap = keys.float_or("final_logit_softcapping", config.final_logit_softcap);
  read_sizes(keys, model, config);
  check_sizes(config, file.path().string());
  if (is_gemma(architecture)) {
    config.embedding_scale = std::sqrt(static_cast<double>(config.n_embd));
  }
  read_rope(keys, model, config);
  config.attention_scale = attention_scale(keys, config);
  read_windows(keys, config);
  check_config(config, file.path().string());
  return config;
}

}  // namespace dsrasq::checkpoint
