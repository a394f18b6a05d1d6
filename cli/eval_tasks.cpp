// dsrasq eval qa, summarization, translation, ruler, babi, longbench: answers to tasks from their
// official files, under several policies.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/eval_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/task_run.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;
using eval::TaskKind;

using TaskConfig = EvalConfig<eval::TaskOptions>;

Json evaluate(TaskKind kind, const TaskConfig& config, const Console& console) {
  if (!config.task.merge.empty()) return merged(config, eval::merge_tasks);
  DSRASQ_CHECK(!config.task.data.empty(), kInvalidArgument, "cli.eval_tasks", "want --data FILE");
  const policy::PolicyOptions& policy = config.policies.policy;
  eval::parse_policies(policy.name, policy,
                       eval::PromptMethods::kTaken);  // before anything big is read
  watch_interrupts();
  const eval::TaskSet set(kind, config.task);
  const session::Engine engine(config.engine);
  return eval::run_tasks(engine, policy, set, config.task,
                         [&](const std::string& line) { console.note(line); });
}

template <TaskKind kind>
Json run(const TaskConfig& config, const Console& console) {
  return shown(evaluate(kind, config, console), console);
}

}  // namespace

Command eval_qa_command() {
  return make_command<TaskConfig>(
      {"eval qa",
       "questions on given texts: HotpotQA, MuSiQue, NQ-Open, SQuAD (em, f1), MultiRC (f1a, em)",
       "  dsrasq eval qa --data hotpot_dev_distractor_v1.json --samples 100 --policy full,dsrasq\n"
       "  dsrasq eval qa --data val.jsonl --predictions answers.jsonl --json\n"},
      run<TaskKind::kQa>);
}

Command eval_summarization_command() {
  return make_command<TaskConfig>(
      {"eval summarization",
       "summaries: CNN/DailyMail, XSum, SAMSum, QMSum (rouge1, rouge2, rougeL)",
       "  dsrasq eval summarization --data cnn_dailymail.jsonl --policy full,dsrasq\n"
       "  dsrasq eval summarization --data QMSum/data/ALL/test --predictions meetings.jsonl\n"},
      run<TaskKind::kSummarization>);
}

Command eval_translation_command() {
  return make_command<TaskConfig>(
      {"eval translation", "translation line by line, the source's file first (bleu)",
       "  dsrasq eval translation --data test.en test.de --samples 0\n"},
      run<TaskKind::kTranslation>);
}

Command eval_ruler_command() {
  return make_command<TaskConfig>(
      {"eval ruler", "RULER's tasks and key-value retrieval (string_match)",
       "  dsrasq eval ruler --data niah_single_1/validation.jsonl vt/validation.jsonl\n"
       "  dsrasq eval ruler --data kv-retrieval-75_keys.jsonl --policy full,dsrasq,window\n"},
      run<TaskKind::kRuler>);
}

Command eval_babi_command() {
  return make_command<TaskConfig>(
      {"eval babi", "bAbI's short stories (accuracy; babilong where the file is named qaN_...)",
       "  dsrasq eval babi --data qa1_single-supporting-fact_test.txt --samples 200\n"},
      run<TaskKind::kBabi>);
}

Command eval_longbench_command() {
  return make_command<TaskConfig>(
      {"eval longbench", "LongBench in English, with its prompts and metrics (score)",
       "  dsrasq eval longbench --data hotpotqa.jsonl gov_report.jsonl --policy full,dsrasq\n"
       "  dsrasq eval longbench --data LongBench/data --samples 20 --max-context 7500 --json\n"},
      run<TaskKind::kLongBench>);
}

}  // namespace dsrasq::cli
