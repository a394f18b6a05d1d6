#pragma once

// An answer as a line of a result: what the predictions' file holds and the rows are made of.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dsrasq/eval/prediction_file.h"
#include "dsrasq/eval/task_answer.h"
#include "dsrasq/eval/task_figures.h"

namespace dsrasq::eval {

/// The members that tell one line from all others.
std::vector<std::string> line_keys();

/// `fingerprint` is over everything that the answer depends on.
nlohmann::ordered_json answer_line(const data::TaskSample& sample, const std::string& policy,
                                   const TaskAnswer& answer, const std::vector<Score>& scores,
                                   const std::string& fingerprint);

/// The line that `file` has for a sample and a policy; null when it has none. Throws kBadInput
/// naming the file and the line when that was made with another fingerprint.
nlohmann::ordered_json kept_line(const PredictionFile& file, const data::TaskSample& sample,
                                 const std::string& policy, const std::string& fingerprint);

/// ", f1 0.67": the first score that is one number.
std::string first_score(const nlohmann::ordered_json& line);

/// The first row's figures, `policy, mean_retrieved, cache_bytes`, then `rows` (task_rows) and the
/// lines as `samples`.
nlohmann::ordered_json lines_result(nlohmann::ordered_json lines);

}  // namespace dsrasq::eval
