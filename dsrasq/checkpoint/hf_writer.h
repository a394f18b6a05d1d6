#pragma once

// Writes a model as the Hugging Face folder that `Checkpoint::open`, `transformers` and llama.cpp's
// converter read.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include "dsrasq/checkpoint/model_config.h"
#include "dsrasq/formats/safetensors.h"

namespace dsrasq::checkpoint {

/// Ids of the tokens that begin and end a text, where there are any.
struct EndTokens {
  std::optional<int32_t> bos, eos;
};

/// Writes model.safetensors, then config.json, each whole or not at all. `tensors` have the names
/// and shapes of `wanted_tensors(config)` and one dtype. Throws kInvalidArgument when the
/// configuration is not that of a plain Llama or a tensor is missing, kOutput when a file cannot be
/// written.
void write_hugging_face_folder(const std::filesystem::path& folder, const ModelConfig& config,
                               const EndTokens& ends,
                               std::span<const formats::NamedTensor> tensors);

}  // namespace dsrasq::checkpoint
