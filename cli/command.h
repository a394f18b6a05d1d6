#pragma once

// What a command is, and the list of all of them.

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/fields.h"
#include "cli/options.h"

namespace dsrasq::cli {

/// `run` is called once, after parsing. What it returns is the JSON object to print, without
/// `status`, and with a `config` only where it is not this command's own; for people it has printed
/// its result itself.
struct Command {
  HelpText help;
  FieldList fields;
  std::function<nlohmann::ordered_json(const Console&)> run;
};

/// A command whose options are the fields of a `Config`, which lives as long as the command.
template <class Config>
Command make_command(HelpText help, nlohmann::ordered_json (*run)(const Config&, const Console&)) {
  const auto config = std::make_shared<Config>();
  Command command{
      std::move(help), {}, [config, run](const Console& console) { return run(*config, console); }};
  command.fields.add(*config);
  return command;
}

Command ask_command();
Command digest_command();
Command generate_command();
Command chat_command();
Command convert_command();
Command train_retriever_command();
Command train_joint_command();
Command train_lm_command();
Command eval_perplexity_command();
Command eval_needle_command();
Command eval_gist_command();
Command eval_retrieval_command();
Command eval_qa_command();
Command eval_summarization_command();
Command eval_translation_command();
Command eval_ruler_command();
Command eval_babi_command();
Command eval_longbench_command();
Command eval_news_command();
Command eval_dialogue_command();
Command score_command();
Command sweep_command();
Command data_prepare_command();
Command data_index_command();
Command bench_prefill_command();
Command bench_decode_command();
Command bench_scaling_command();
Command report_command();
Command inspect_command();
Command version_command();

/// In the order in which --help lists them.
std::vector<Command> all_commands();

}  // namespace dsrasq::cli
