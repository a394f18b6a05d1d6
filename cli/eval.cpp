// dsrasq eval: perplexity, needles and gist, under several policies.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/eval_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/gca_perplexity.h"
#include "dsrasq/eval/gist.h"
#include "dsrasq/eval/needle.h"
#include "dsrasq/eval/perplexity.h"
#include "dsrasq/train/gca_folder.h"

namespace dsrasq::cli {
namespace {

// The results of other processes put together, or a run of our own.
template <class Task, class Run, class Merge>
nlohmann::ordered_json evaluate(const EvalConfig<Task>& config, const Console& console,
                                const Run& run, const Merge& merge) {
  if (!config.task.merge.empty()) return merged(config, merge);
  DSRASQ_CHECK(!config.task.text.empty(), kInvalidArgument, "cli.eval", "want --text FILE");
  eval::parse_policies(config.policies.policy.name,
                       config.policies.policy);  // before the model is loaded
  watch_interrupts();
  const session::Engine engine(config.engine);
  return run(engine, config.policies.policy, config.task,
             [&](const std::string& line) { console.note(line); });
}

// A model with grouped cross attention attends in one way, its own.
nlohmann::ordered_json gca_perplexity(const EvalConfig<eval::PerplexityOptions>& config,
                                      const Console& console) {
  const std::string& policy = config.policies.policy.name;
  DSRASQ_CHECK(policy == policy::PolicyOptions().name || policy == "gca", kInvalidArgument,
               "cli.eval", config.engine.model,
               " holds a model with grouped cross attention, which has no policies; leave out "
               "--policy");
  DSRASQ_CHECK(!config.task.text.empty(), kInvalidArgument, "cli.eval", "want --text FILE");
  watch_interrupts();
  return eval::run_gca_perplexity(config.engine, config.task,
                                  [&](const std::string& line) { console.note(line); });
}

nlohmann::ordered_json perplexity(const EvalConfig<eval::PerplexityOptions>& config,
                                  const Console& console) {
  if (config.task.merge.empty() && train::is_gca_folder(config.engine.model))
    return shown(gca_perplexity(config, console), console);
  return shown(evaluate(config, console, eval::run_perplexity, eval::merge_perplexity), console);
}

nlohmann::ordered_json needle(const EvalConfig<eval::NeedleOptions>& config,
                              const Console& console) {
  return shown(evaluate(config, console, eval::run_needle, eval::merge_needle), console);
}

nlohmann::ordered_json gist(const EvalConfig<eval::GistOptions>& config, const Console& console) {
  return shown(evaluate(config, console, eval::run_gist, eval::merge_gist), console);
}

}  // namespace

Command eval_perplexity_command() {
  return make_command<EvalConfig<eval::PerplexityOptions>>(
      {"eval perplexity", "how well the next token is predicted, by policy",
       "  dsrasq eval perplexity --text book.txt --length 8192 --samples 12\n"
       "  dsrasq eval perplexity --text books.jsonl.xz --policy full,dsrasq,dsrasq:topk=64 "
       "--json\n"},
      perplexity);
}

Command eval_needle_command() {
  return make_command<EvalConfig<eval::NeedleOptions>>(
      {"eval needle", "finding one number hidden in a long text, by policy",
       "  dsrasq eval needle --text book.txt --length 8000,16000 --samples 20\n"
       "  dsrasq eval needle --text book.txt --policy dsrasq,window --shard 0/2 --json\n"},
      needle);
}

Command eval_gist_command() {
  return make_command<EvalConfig<eval::GistOptions>>(
      {"eval gist", "telling which passage goes with a text whose tokens have left the memory",
       "  dsrasq eval gist --text books.jsonl.xz --pool 2048 --policy dsrasq,dsrasq:slots=0\n"
       "  dsrasq eval gist --text books.jsonl.xz --length 16384 --choices 8 --json\n"},
      gist);
}

}  // namespace dsrasq::cli
