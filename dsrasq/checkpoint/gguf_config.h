#pragma once

// The configuration in the keys of a GGUF model.

#include "dsrasq/checkpoint/model_config.h"

namespace dsrasq::checkpoint {

class GgufParts;

/// Throws kBadInput naming the file and the key. The result has passed `check_config`.
ModelConfig read_gguf_config(const GgufParts& model);

}  // namespace dsrasq::checkpoint
