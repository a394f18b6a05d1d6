// dsrasq eval news, dialogue: questions along streams that are longer than any prompt.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/eval_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/dialogue.h"
#include "dsrasq/eval/news.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;
using NewsConfig = EvalConfig<eval::NewsOptions>;
using DialogueConfig = EvalConfig<eval::DialogueOptions>;

// What can be found wrong before anything big is read.
template <class Config>
void check(const Config& config) {
  DSRASQ_CHECK(!config.task.data.empty(), kInvalidArgument, "cli.eval_streams", "want --data FILE");
  eval::parse_policies(config.policies.policy.name, config.policies.policy);
  watch_interrupts();
}

template <class Config>
Json run(const Config& config, const session::Engine& engine,
         const std::vector<eval::Stream>& streams, eval::StreamRules rules,
         const Console& console) {
  rules.max_tokens = config.task.max_tokens;
  rules.predictions = config.task.predictions;
  const auto note = [&](const std::string& line) { console.note(line); };
  return shown(eval::run_streams(engine, config.policies.policy, streams, rules, note), console);
}

Json news(const NewsConfig& config, const Console& console) {
  check(config);
  const std::vector<data::Story> stories = data::read_stories(config.task.data);
  const std::vector<eval::Stream> streams{eval::news_stream(stories, config.task)};
  const session::Engine engine(config.engine);
  return run(config, engine, streams,
             {.max_words = config.task.opening, .question_agnostic = config.task.question_agnostic},
             console);
}

Json dialogue(const DialogueConfig& config, const Console& console) {
  check(config);
  std::vector<std::vector<data::Dialogue>> files;
  for (const std::string& path : config.task.data) files.push_back(data::read_dialogues(path));
  const session::Engine engine(config.engine);
  std::vector<eval::Stream> streams;
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string file = std::filesystem::path(config.task.data[i]).filename().string();
    for (eval::Stream& stream : eval::dialogue_streams(files[i], file.substr(0, file.find('.')),
                                                       engine.tokenizer(), config.task))
      streams.push_back(std::move(stream));
  }
  return run(config, engine, streams, {}, console);
}

}  // namespace

Command eval_news_command() {
  return make_command<NewsConfig>(
      {"eval news",
       "a newswire read day after day: its stories from their headlines, by age (f1, rougeL)",
       "  dsrasq eval news --data reuters21578.tar.gz --from 1987-06-01 --policy full,dsrasq\n"
       "  dsrasq eval news --data stories.jsonl --days 20 --ages 0,1,7,14 --predictions n.jsonl\n"},
      news);
}

Command eval_dialogue_command() {
  return make_command<DialogueConfig>(
      {"eval dialogue",
       "the next turn far into a stream of joined dialogues (perplexity, f1, rougeL)",
       "  dsrasq eval dialogue --data dialogues_001.json --policy full,dsrasq --length 16384\n"
       "  dsrasq eval dialogue --data dialogues_test.txt --samples 4 --predictions d.jsonl\n"},
      dialogue);
}

}  // namespace dsrasq::cli
