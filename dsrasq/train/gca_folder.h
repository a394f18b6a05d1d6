#pragma once

// A model with grouped cross attention on disk: a folder with config.json, model.safetensors and
// the files of a tokenizer. Its "model_type" is one that no other reader of such folders takes.

#include <filesystem>
#include <span>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/model/transformer.h"
#include "dsrasq/train/gca_config.h"

namespace dsrasq::train {

/// Whether there is a folder whose config.json says so; false where there is no such file or no
/// JSON in it. Throws as core/file.h does when it cannot be read.
bool is_gca_folder(const std::filesystem::path& folder);

/// Throws kBadInput naming the file and what is missing or wrong.
GcaConfig read_gca_config(const std::filesystem::path& folder);

/// The weights that `gca_tensors(config)` names: matrices in `dtype`, weights of norms in fp32.
/// Throws kBadInput naming the file and the tensor that is missing or has another shape.
model::WeightsByName read_gca_weights(const std::filesystem::path& folder, const GcaConfig& config,
                                      at::Device device, at::ScalarType dtype);

/// Throws kInvalidArgument naming what differs when the folder holds a model of another
/// configuration.
void check_same_gca(const std::filesystem::path& folder, const GcaConfig& config);

/// Writes model.safetensors, then config.json, each whole or not at all.
void write_gca_folder(const std::filesystem::path& folder, const GcaConfig& config,
                      std::span<const formats::NamedTensor> tensors);

}  // namespace dsrasq::train
