#pragma once

// What a transformer's files say of its shape, in one form for all families and file formats.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dsrasq::checkpoint {

enum class Architecture { kLlama, kMistral, kQwen2, kQwen3, kGemma2, kGemma3 };  // SmolLM2: kLlama

/// "llama", "mistral", ...
const char* architecture_name(Architecture architecture);
bool is_gemma(Architecture architecture);

enum class Activation { kSilu, kGeluTanh };

/// How RoPE's frequencies are stretched beyond the context of pre-training. In Gemma 3 only layers
/// with full attention use it.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3, kYarn };
  Kind kind = Kind::kNone;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  ///< Llama 3
  double beta_fast = 32, beta_slow = 1;              ///< YaRN
  bool truncate = true;                              ///< YaRN: whole dimensions bound the ramp
  double attention_factor = 1;                       ///< of cos and sin
  int64_t original_context = 0;                      ///< tokens, of pre-training
  /// [D / 2] or empty: each frequency is divided by its entry as well (GGUF `rope_freqs.weight`).
  std::vector<float> frequency_divisors;
};

/// Sizes in the letters of docs/notation.md.
struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  std::string name;  ///< printable; may be empty
  int64_t n_layers = 0;
  int64_t n_embd = 0;      ///< E
  int64_t n_ff = 0;        ///< F
  int64_t n_heads = 0;     ///< H
  int64_t n_kv_heads = 0;  ///< Hkv, divides H
  int64_t head_dim = 0;    ///< D, even
  int64_t vocab_size = 0;
  int64_t context_length = 0;  ///< tokens the model was trained for
  double rms_norm_eps = 0;
  double rope_theta = 0;
  double rope_local_theta = 0;  ///< of sliding layers (Gemma 3: another one; else the same)
  RopeScaling rope_scaling;
  double attention_scale = 0;          ///< of q . k, before the softcap
  double embedding_scale = 1;          ///< sqrt(E) for Gemma: round it to the activations' dtype
  double attention_logit_softcap = 0;  ///< c of c * tanh(x / c); 0: none
  double final_logit_softcap = 0;      ///< the same, of the output logits
  /// [n_layers]: w, when query i of that layer sees only j > i - w; 0: all.
  std::vector<int64_t> sliding_window;
  bool has_qk_norm = false;
  bool has_qkv_bias = false;
  bool has_post_norms = false;         ///< post_attention_norm and post_ffw_norm (Gemma)
  bool norm_weight_is_offset = false;  ///< stored norm weights need + 1 (Gemma of Hugging Face)
  Activation activation = Activation::kSilu;
  bool tied_embeddings = false;  ///< output.weight is token_embd.weight

  int64_t n_rep() const { return n_heads / n_kv_heads; }
};

/// A configuration with what all models of that family have in common; sizes are zero.
ModelConfig family_config(Architecture architecture);

/// Throws kBadInput `[checkpoint.config] source: ...` naming the first value that no model has: of
/// the sizes alone, to be called before anything is derived from them, or of everything.
void check_sizes(const ModelConfig& config, const std::string& source);
void check_config(const ModelConfig& config, const std::string& source);

/// Every field as text, in a fixed order, for people and for fingerprints.
std::vector<std::pair<std::string, std::string>> config_fields(const ModelConfig& config);

/// RoPE of one kind of layer, scaling included, as `transformers` computes it.
struct RopeTable {
  std::vector<double> inverse_frequencies;  ///< [D / 2], radians a token
  double attention_factor = 1;              ///< multiply cos and sin by it
};
RopeTable rope_table(const ModelConfig& config, bool is_sliding_layer);

}  // namespace dsrasq::checkpoint
