#include "cli/train_processes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"

namespace dsrasq::cli {

nlohmann::ordered_json with_processes(
    const session::EngineOptions& engine, bool trained,
    const std::function<nlohmann::ordered_json(const TrainingPlace&)>& work) {
  TrainingPlace place{.engine = engine};
  if (const auto worker = train::worker_place()) {
    DSRASQ_CHECK(trained, kInvalidArgument, "cli.train",
                 "--dry-run and --prepare-only are for one process, WORLD_SIZE is ", worker->size);
    if (engine.threads == 0)
      place.engine.threads = std::max<int64_t>(1, num_threads() / worker->local_size);
  }
  place.processes = train::join_processes(place.engine.device);
  nlohmann::ordered_json result;
  place.processes->run([&] { result = work(place); });
  if (!place.processes->is_first()) result = {{"rank", place.processes->rank()}};
  return result;
}

}  // namespace dsrasq::cli
