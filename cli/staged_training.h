#pragma once

// What `train joint` and `convert` do.

#include <nlohmann/json_fwd.hpp>

#include "cli/console.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/train/training_stages.h"

namespace dsrasq::cli {

/// Trains the stages, or plans them; the result to print. With the adapter "auto" a warm-up starts
/// from scratch.
nlohmann::ordered_json run_staged_training(session::EngineOptions engine_options,
                                           const train::StagedTrainOptions& options, bool dry_run,
                                           const Console& console);

}  // namespace dsrasq::cli
