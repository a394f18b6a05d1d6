#pragma once

// What each `eval` command of generation tasks does with a sample: the prompt, how long an answer
// may be, and what of it counts. Scores are in task_figures.h.

#include <cstdint>
#include <string_view>

#include "dsrasq/data/task_prompt.h"

namespace dsrasq::eval {

/// One for every command.
enum class TaskKind : uint8_t {
  kQa,
  kSummarization,
  kTranslation,
  kRuler,
  kBabi,
  kLongBench,
};

struct TaskRules {
  data::TaskPrompt prompt{};
  int64_t max_tokens = 0;   ///< of an answer
  bool first_line = false;  ///< of an answer, leading empty lines aside, is all that counts
};

/// Throws kInvalidArgument when the kind's command does not do samples of this format, or knows no
/// language of this code, or LongBench has no data set of this name that can be scored here.
TaskRules task_rules(TaskKind kind, const data::TaskSample& sample);

/// What counts of an answer: without white space around it.
std::string_view cleaned_answer(const TaskRules& rules, std::string_view answer);

}  // namespace dsrasq::eval
