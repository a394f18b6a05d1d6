#pragma once

// The configuration in the config.json of a Hugging Face folder, as transformers 4 and 5 write it.

#include <filesystem>

#include "dsrasq/checkpoint/model_config.h"

namespace dsrasq::checkpoint {

/// `has_output` says whether the folder has a tensor lm_head.weight, for models that do not say
/// whether their embeddings are tied. Throws kBadInput naming the file and the key. The result has
/// passed `check_config`.
ModelConfig read_hugging_face_config(const std::filesystem::path& path, bool has_output);

}  // namespace dsrasq::checkpoint
