// The command behind a result, and what kind of result it is.

#include <algorithm>

#include "dsrasq/report/result_file.h"

namespace dsrasq::report {
namespace {

// As a shell wants it.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

// Every task has figures of its own (eval/task_figures.cpp).
std::string task_command(const TaskResult& result) {
  const auto has = [&](std::string_view figure) {
    return std::any_of(result.rows.begin(), result.rows.end(),
                       [&](const TaskResult::Row& row) { return row.figure == figure; });
  };
  // Streams alone have such a policy (eval/stream_run.h).
  const bool is_stream = std::any_of(result.rows.begin(), result.rows.end(),
                                     [](const auto& row) { return row.policy == "alone"; });
  if (is_stream) return has("perplexity") ? "eval dialogue" : "eval news";
  if (has("oracle_mass")) return "eval retrieval";
  if (has("f1") || has("f1a") || has("em")) return "eval qa";
  if (has("rouge1")) return "eval summarization";
  if (has("bleu")) return "eval translation";
  if (has("string_match")) return "eval ruler";
  if (has("accuracy")) return "eval babi";
  return has("score") ? "eval longbench" : "";
}

struct CommandName {
  std::string operator()(const PerplexityResult&) const { return "eval perplexity"; }
  std::string operator()(const NeedleResult&) const { return "eval needle"; }
  std::string operator()(const GistResult&) const { return "eval gist"; }
  std::string operator()(const TaskResult& result) const { return task_command(result); }
  std::string operator()(const BenchResult& result) const {
    return result.what.empty() ? "" : "bench " + result.what;
  }
  std::string operator()(const AnswerResult& result) const {
    return result.way.empty() ? "ask" : "";
  }
  std::string operator()(const SweepResult&) const { return "sweep"; }
};

}  // namespace

std::string command_of(const ResultFile& file) {
  const auto* answers = std::get_if<AnswerResult>(&file.result);
  if (answers && !answers->way.empty()) return "python3 tools/eval_questions.py " + answers->way;
  const std::string name = std::visit(CommandName{}, file.result);
  if (name.empty() || file.options.empty()) return "";
  const std::string next = " \\\n  ";
  std::string out = "dsrasq " + name, last;
  for (const Option& option : file.options) {
    // Words without a name of their own.
    const bool is_last = option.name == "question" || option.name == "train-options";
    std::string words = is_last ? next + "--" : next + "--" + option.name;
    for (const std::string& value : option.values) words += ' ' + quoted(value);
    (is_last ? last : out) += words;
  }
  return out + last;
}

std::string kind_name(const ResultFile& file) {
  static constexpr const char* kNames[] = {"perplexity", "needle",  "gist", "tasks",
                                           "speed",      "answers", "sweep"};
  return kNames[file.result.index()];
}

}  // namespace dsrasq::report
