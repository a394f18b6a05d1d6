#pragma once

// The shape of a model with grouped cross attention, and the tensors that it consists of.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/checkpoint/tensor_names.h"
#include "dsrasq/core/error.h"
#include "dsrasq/train/lm_options.h"

namespace dsrasq::train {

struct GcaConfig {
  checkpoint::ModelConfig decoder;  ///< a plain Llama; its layers' attention slides
  int64_t window = 512;             ///< tokens, landmarks included, that self attention reads
  int64_t chunk = 63;               ///< tokens of text before every landmark
  int64_t top_k = 8;                ///< chunks that are retrieved for a chunk
  int64_t lower_layers = 0;         ///< decoder layers before the retrieval
  int64_t encoder_layers = 2;

  /// Chunks of a text, and those of them that have something to retrieve: all but the first two.
  int64_t n_chunks(int64_t n_tokens) const { return (n_tokens + chunk - 1) / chunk; }
  int64_t n_retrieving(int64_t n_tokens) const {
    return std::max<int64_t>(0, n_chunks(n_tokens) - 2);
  }

  /// Tokens of text that a token of a text gets by retrieval, on average.
  double mean_retrieved(int64_t n_tokens) const;
  /// Numbers that a decoder has to hold behind a text: keys and values in the window, and of every
  /// chunk keys, values and landmark.
  int64_t decoder_values(int64_t n_tokens) const;

  /// Every field that a file holds, the decoder's included, and its name there.
  template <class Visit>
  void visit(Visit&& visit) {
    visit(decoder.n_embd, "hidden_size");
    visit(decoder.n_ff, "intermediate_size");
    visit(decoder.n_layers, "num_hidden_layers");
    visit(decoder.n_heads, "num_attention_heads");
    visit(decoder.n_kv_heads, "num_key_value_heads");
    visit(decoder.vocab_size, "vocab_size");
    visit(decoder.context_length, "max_position_embeddings");
    visit(decoder.rms_norm_eps, "rms_norm_eps");
    visit(decoder.rope_theta, "rope_theta");
    visit(decoder.tied_embeddings, "tie_word_embeddings");
    visit(window, "sliding_window");
    visit(chunk, "chunk_size");
    visit(top_k, "chunk_topk");
    visit(lower_layers, "lower_layers");
    visit(encoder_layers, "encoder_layers");
  }
};

/// That of a training from nothing, around its decoder. Throws kInvalidArgument naming what no such
/// model can have.
GcaConfig gca_config(const LmTrainOptions& options, const checkpoint::ModelConfig& decoder);

/// Throws `code` `source: ...` naming the first value that no such model has.
void check_gca_config(const GcaConfig& config, const std::string& source,
                      ErrorCode code = ErrorCode::kBadInput);

/// The decoder's tensors (checkpoint::wanted_tensors), then landmark.weight `[1, E]`,
/// landmark_norm, chunk_k, chunk_v, enc_norm, enc_output_norm, of each encoder layer `enc.N.` what
/// a decoder layer has, and of each upper layer `blk.N.` + cross_norm, cross_q, cross_output.
std::vector<checkpoint::WantedTensor> gca_tensors(const GcaConfig& config);

}  // namespace dsrasq::train
