// dsrasq generate: goes on from a prompt.

#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/prompt.h"
#include "dsrasq/core/error.h"
#include "dsrasq/data/text_reader.h"

namespace dsrasq::cli {
namespace {

struct GenerateConfig {
  std::string prompt;
  bool chat = false;
  SessionOptions model;
  AnswerOptions answer;

  template <class V>
  void visit(V&& v) {
    v(prompt, "PROMPT", "the text to go on from, @FILE to read it, or - for standard input");
    v(chat, "chat", "the prompt is a user's message, and the model answers it");
    model.visit(v);
    answer.visit(v);
  }
};

std::string prompt_text(const std::string& prompt) {
  DSRASQ_CHECK(!prompt.empty(), kInvalidArgument, "cli.generate", "the prompt is missing");
  if (prompt == "-") return data::TextReader(prompt).rest();
  return prompt.front() == '@' ? data::TextReader(prompt.substr(1)).rest() : prompt;
}

nlohmann::ordered_json generate(const GenerateConfig& given, const Console& console) {
  GenerateConfig config = given;
  config.model.policy.seed = config.answer.sampling.seed;
  config.answer.check();
  const std::string text = prompt_text(config.prompt);
  const session::Engine engine = load_engine(config.model, console);
  const text::Tokenizer& tokenizer = engine.tokenizer();
  std::vector<int32_t> ids;
  if (config.chat) {
    const Prompt prompt(tokenizer);
    ids = prompt.turn(text, true);
    config.answer.stop = prompt.with_stops(config.answer.stop);
  } else {
    ids = tokenizer.encode(text, {.add_bos = tokenizer.adds_bos()});
  }
  DSRASQ_CHECK(!ids.empty(), kInvalidArgument, "cli.generate", "the prompt holds no tokens");
  const auto policy = fit_pool(engine, config.model, static_cast<int64_t>(ids.size()), console);
  session::Session session(engine, policy);
  if (is_fixed(session.policy())) console.note(memory_line(session.policy()));
  // All but the last token is reading; the first token's time then is that of one step.
  const TextFile body{"prompt", "", {ids.begin(), ids.end() - 1}};
  ReadSpeed speed = read_texts(session, {body}, console);
  session.sources().clear();
  if (!config.chat) console.result(text);
  const Answer answer =
      print_answer(session, std::span(ids).last(1), config.answer, false, console);
  ++speed.tokens;
  return answer_json(session, answer, speed);
}

}  // namespace

Command generate_command() {
  return make_command<GenerateConfig>(
      {"generate", "goes on from a prompt",
       "  dsrasq generate \"Once upon a time\" --max-tokens 100 --temperature 0.8\n"
       "  dsrasq generate @novel.txt --memory 256M\n"
       "  dsrasq generate --chat \"Write a haiku about memory.\"\n"},
      generate);
}

}  // namespace dsrasq::cli
