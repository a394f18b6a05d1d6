#pragma once

// The folder that a model trained from nothing ends in.

#include <filesystem>
#include <string>

#include "dsrasq/text/tokenizer.h"
#include "dsrasq/train/lm_model.h"

namespace dsrasq::train {

/// Where the adapter of the model in `folder` lies.
std::filesystem::path adapter_in(const std::filesystem::path& folder);

/// Throws kInvalidArgument when there is a model of another configuration in the folder, or
/// something that is no folder.
void check_model_folder(const std::filesystem::path& folder, const LmModel& model);

/// Writes the model and the files of its tokenizer, from `tokenizer_source`; "bf16" or "f32" is the
/// type of the weights. Returns its fingerprint, empty for grouped cross attention, which no
/// adapter goes with.
std::string write_model_folder(const std::filesystem::path& folder, const LmModel& model,
                               const std::string& dtype, const text::Tokenizer& tokenizer,
                               const std::filesystem::path& tokenizer_source);

}  // namespace dsrasq::train
