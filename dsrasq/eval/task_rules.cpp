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

constexpr const char* kWhere = "eval.task_rules";

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
      kInvalidArgument, kWhere, info.command, " does not do ",
      data::task_format_name(sample.format), " data (", sample.task, ')');
  constexpr View kQuestion = "Question: {question}\nAnswer:";
  switch (sample.format) {
    case TaskFormat::kHotpotQa:
    case TaskFormat::kMusique:
    case TaskFormat::kNqOpen:
    case TaskFormat::kSquad:
      return {DocumentLayout::kPassages,
              "Read the passages and answer the question in a few words.\n\n", kQuestion, 32, true};
    case TaskFormat::kMultiRc:
      return {DocumentLayout::kPlain, "Read the passage.\n\n",
              "\n\nQuestion: {question}\nAnswer: {option}\nIs this answer right, yes or no?", 0};
    case TaskFormat::kSummary:
      return {DocumentLayout::kPlain, "Read the text and summarize it in a few sentences.\n\n",
              "\n\nSummary:", 128};
    case TaskFormat::kQmsum:
      return {DocumentLayout::kTurns, "Read the transcript of a meeting.\n\n",
              "\nQuery: {question}\nAnswer:", 256};
    case TaskFormat::kParallel: return {DocumentLayout::kPlain, "{from}: ", "\n{to}:", 96, true};
    case TaskFormat::kRuler: return {DocumentLayout::kPlain, "", "", ruler_max_tokens(sample.task)};
    case TaskFormat::kKeyValue:
      return {DocumentLayout::kPairs, "Find the value of a key in the JSON data.\n\n",
              "\n\nKey: \"{question}\"\nValue:", 64};
    case TaskFormat::kBabi:
      return {DocumentLayout::kLines, "Read the story and answer the question in one word.\n\n",
              "\nQuestion: {question}\nAnswer:", 16, true};
    case TaskFormat::kLongBench: break;
  }
  const LongBenchSet& set = longbench_set(sample.task);
  // The first line counts for LongBench's own score, and always for short answers.
  return {DocumentLayout::kPlain, set.before, set.after, set.max_tokens,
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
