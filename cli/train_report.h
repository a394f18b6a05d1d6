#pragma once

// What the commands that train say: while they do, before they start, and at the end.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "dsrasq/train/training_stages.h"

namespace dsrasq::cli {

/// "step 10 of 3000  loss 0.4312 ...", without the stage's name.
std::string progress_text(const train::TrainProgress& progress);
std::string progress_text(const train::JointProgress& progress);
/// The same behind the name of the stage.
std::string progress_text(const train::StagedProgress& progress);

nlohmann::ordered_json plan_json(const train::TrainPlan& plan);
/// Of one stage as it is; of several each by its name.
nlohmann::ordered_json plan_json(const train::StagedPlan& plan);

nlohmann::ordered_json result_json(const train::TrainResult& result);
/// Of the last stage, and of a warm-up before it by its name.
nlohmann::ordered_json result_json(const train::StagedResult& result);

}  // namespace dsrasq::cli
