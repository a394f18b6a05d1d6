#pragma once

// Which tensors a model must have, and what the two file formats call them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/checkpoint/model_config.h"

namespace dsrasq::checkpoint {

struct WantedTensor {
  std::string name;            ///< canonical (GGUF)
  std::vector<int64_t> shape;  ///< [rows, cols], or [cols]
};

/// All that a model of that configuration consists of.
std::vector<WantedTensor> wanted_tensors(const ModelConfig& config);

/// Tensors of the first layer that would change what the model computes, were they there: biases
/// and norms that the configuration does not have.
std::vector<std::string> unwanted_tensors(const ModelConfig& config);

/// What a Hugging Face folder calls a tensor, e.g. "model.layers.0.self_attn.q_proj.weight".
/// `prefix` is what stands before "embed_tokens" there, mostly "model.".
std::string hugging_face_name(std::string_view name, Architecture architecture,
                              std::string_view prefix);

}  // namespace dsrasq::checkpoint
