#pragma once

// The lines of a result: figures of each task and policy with their intervals.

#include <nlohmann/json_fwd.hpp>

namespace dsrasq::eval {

/// `lines` as task_run writes them, an array. The rows are in the order of tasks and policies, each
/// with the figures of its samples, 95 % bootstrap intervals, and from the second policy on the
/// difference to the first over the samples that both did. Of several tasks, rows of the task "all"
/// with means over the tasks come first. Throws kBadInput where a line lacks a field.
nlohmann::ordered_json task_rows(const nlohmann::ordered_json& lines);

}  // namespace dsrasq::eval
