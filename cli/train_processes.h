#pragma once

// A training in one process or in several.

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "dsrasq/session/engine.h"
#include "dsrasq/train/process_group.h"

namespace dsrasq::cli {

/// The processes that train together, and this one's model.
struct TrainingPlace {
  std::shared_ptr<train::ProcessGroup> processes;
  session::EngineOptions engine;  ///< with this process's GPU, or its share of the machine's cores
};

/// Joins the other processes that the environment speaks of, if any, and lets `work` train with
/// them: what it returns or, of all but the first, that it has ended. Throws kInvalidArgument when
/// there are others and nothing is `trained`.
nlohmann::ordered_json with_processes(
    const session::EngineOptions& engine, bool trained,
    const std::function<nlohmann::ordered_json(const TrainingPlace&)>& work);

}  // namespace dsrasq::cli
