#pragma once

// What all evaluations share: their options, merged results, and what of a result people see.

#include <nlohmann/json.hpp>

#include "cli/console.h"
#include "cli/policy_list_options.h"
#include "dsrasq/eval/shard_files.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::cli {

/// Options of an evaluation: `--policy` may list several.
template <class Task>
struct EvalConfig {
  Task task;
  session::EngineOptions engine;
  PolicyListOptions policies;

  template <class V>
  void visit(V&& v) {
    task.visit(v);
    engine.visit(v);
    policies.visit(v);
  }
};

/// The results of other processes put together by `merge`, with the options that they had.
template <class Task, class Merge>
nlohmann::ordered_json merged(const EvalConfig<Task>& config, const Merge& merge) {
  nlohmann::ordered_json result = merge(config.task.merge);
  result["config"] = eval::merged_config(config.task.merge);
  return result;
}

/// Prints a result and returns it. Samples are for merging and for programs, not for people.
inline nlohmann::ordered_json shown(nlohmann::ordered_json result, const Console& console) {
  nlohmann::ordered_json lines = result;
  lines.erase("samples");
  console.result_lines(lines);
  return result;
}

}  // namespace dsrasq::cli
