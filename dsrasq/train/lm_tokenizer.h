#pragma once

// The tokenizer of a model that is trained from nothing.

#include <filesystem>

#include "dsrasq/train/lm_options.h"
#include "dsrasq/train/process_group.h"

namespace dsrasq::train {

/// Where it is: what `options.tokenizer` names, or the run's folder `tokenizer`, into which the
/// first process trains one on a part of the data unless that of the same data is there. Throws
/// kInvalidArgument when there is none to train one on.
std::filesystem::path ready_lm_tokenizer(const LmTrainOptions& options, ProcessGroup& processes);

}  // namespace dsrasq::train
