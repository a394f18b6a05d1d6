// dsrasq eval retrieval: what questions retrieve, against supporting texts and against attention.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/eval_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/retrieval.h"
#include "dsrasq/eval/task_run.h"

namespace dsrasq::cli {
namespace {

using RetrievalConfig = EvalConfig<eval::RetrievalOptions>;

nlohmann::ordered_json retrieval(const RetrievalConfig& config, const Console& console) {
  if (!config.task.merge.empty()) return shown(merged(config, eval::merge_tasks), console);
  DSRASQ_CHECK(!config.task.data.empty(), kInvalidArgument, "cli.eval_retrieval",
               "want --data FILE");
  const policy::PolicyOptions& policy = config.policies.policy;
  eval::check_retrieving(eval::parse_policies(policy.name, policy));  // before the model is loaded
  watch_interrupts();
  const session::Engine engine(config.engine);
  return shown(eval::run_retrieval(engine, policy, config.task,
                                   [&](const std::string& line) { console.note(line); }),
               console);
}

}  // namespace

Command eval_retrieval_command() {
  return make_command<RetrievalConfig>(
      {"eval retrieval",
       "precision and recall of what questions retrieve: of supporting texts, of attention",
       "  dsrasq eval retrieval --data hotpot_dev_distractor_v1.json --policy "
       "dsrasq,random,recency\n"
       "  dsrasq eval retrieval --data musique.jsonl --window 128 --topk 64 --json\n"},
      retrieval);
}

}  // namespace dsrasq::cli
