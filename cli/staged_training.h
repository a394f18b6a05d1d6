#pragma once

// What `train joint` and `convert` do.

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "cli/console.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/train/training_stages.h"

namespace dsrasq::cli {

/// Trains the stages, or plans them; the result to print. With the adapter "auto" a warm-up starts
/// from scratch. Where several processes train together each runs this; `keep_config` is called in
/// the first of them, when the adapter is written. Throws kInvalidArgument for several processes
/// and a warm-up followed by other stages.
nlohmann::ordered_json run_staged_training(session::EngineOptions engine,
                                           const train::StagedTrainOptions& options, bool dry_run,
                                           const Console& console,
                                           const std::function<void()>& keep_config);

}  // namespace dsrasq::cli
