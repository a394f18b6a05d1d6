#include "dsrasq/eval/task_rules.h"

#include <algorithm>
#include <array>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/longbench.h"

namespace dsrasq::eval {
namespace {

using data::TaskFormat;
using View = std::string_view;

constexpr const char* kInTaskRules = "eval.task_rules";

struct KindInfo {
  const char* command;
  std::vector<TaskFormat> formats;
};
const KindInfo& info_of(TaskKind kind) {
  using F = TaskFormat;
  static const std::array<KindInfo, 6> kinds{{
      {"eval qa", {F::kHotpotQa, F::kMusique, F::kMultiRc, F::kNqOpen, F::kSquad, F::kLongBench}},
      {"eval summarization", {F::kSummary, F::kQmsum, F::kLongBench}},
      {"eval translation", {F::kParallel}},
      {"eval ruler", {F::kRuler, F::kKeyValue}},
      {"eval babi", {F::kBabi}},
      {"eval longbench", {F::kLongBench}},
  }};
  return kinds[static_cast<size_t>(kind)];
}

// RULER's limits (scripts/data/synthetic/constants.py) by the beginning of a task's name.
int64_t ruler_max_tokens(View task) {
  constexpr std::array<std::pair<View, int64_t>, 5> kLimits{
      {{"niah", 128}, {"vt", 30}, {"cwe", 120}, {"fwe", 50}, {"qa", 32}}};
  for (const auto& [name, limit] : kLimits)
    if (task.starts_with(name)) return limit;
  return 128;
}

}  // namespace

TaskRules task_rules(TaskKind kind, const data::TaskSample& sample) {
  const KindInfo& info = info_of(kind);
  DSRASQ_CHECK(
      std::find(info.formats.begin(), info.formats.end(), sample.format) != info.formats.end(),
      kInvalidArgument, kInTaskRules, info.command, " does not do ",
      data::task_format_name(sample.format), " data (", sample.task, ')');
  const data::TaskPrompt prompt = data::task_prompt(sample.format);
  switch (sample.format) {
    case TaskFormat::kHotpotQa:
    case TaskFormat::kMusique:
    case TaskFormat::kNqOpen:
    case TaskFormat::kSquad: return {prompt, 32, true};
    case TaskFormat::kMultiRc: return {prompt, 0};
    case TaskFormat::kSummary: return {prompt, 128};
    case TaskFormat::kQmsum: return {prompt, 256};
    case TaskFormat::kParallel: return {prompt, 96, true};
    case TaskFormat::kRuler: return {prompt, ruler_max_tokens(sample.task)};
    case TaskFormat::kKeyValue: return {prompt, 64};
    case TaskFormat::kBabi: return {prompt, 16, true};
    case TaskFormat::kInstruction:  // no command does these
    case TaskFormat::kDialogue:
    case TaskFormat::kLongBench: break;
  }
  const LongBenchSet& set = longbench_set(sample.task);
  // The first line counts for LongBench's own score, and always for short answers.
  return {{data::DocumentLayout::kPlain, set.before, set.after},
          set.max_tokens,
          set.first_line || kind == TaskKind::kQa};
}

std::string_view cleaned_answer(const TaskRules& rules, std::string_view answer) {
  constexpr View kSpace = " \t\r\n\f\v";
  answer.remove_prefix(std::min(answer.find_first_not_of(kSpace), answer.size()));
  if (rules.first_line) answer = answer.substr(0, answer.find('\n'));
  answer.remove_suffix(answer.size() - (answer.find_last_not_of(kSpace) + 1));
  return answer;
}

}  // namespace dsrasq::eval
