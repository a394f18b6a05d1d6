// dsrasq ask: reads texts of any length, then answers a question from them.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/prompt.h"
#include "dsrasq/core/error.h"

namespace dsrasq::cli {
namespace {

constexpr const char* kWhere = "cli.ask";

struct AskConfig {
  std::vector<std::string> context;
  std::string session;
  std::string question;
  bool show_retrieved = false;
  SessionOptions model;
  AnswerOptions answer;

  template <class V>
  void visit(V&& v) {
    v(context, "context", "files to read first, one after another; - is standard input");
    v(session, "session", "a session file of dsrasq digest, instead of --context");
    v(question, "QUESTION", "what to answer");
    v(show_retrieved, "show-retrieved", "print the passages that the answer read");
    model.visit(v);
    answer.visit(v);
  }
};

// `--context a.txt b.txt QUESTION`: the last word behind --context is the question.
void settle_question(AskConfig& config) {
  if (config.question.empty() && !config.context.empty()) {
    const std::string last = config.context.back();
    std::error_code ignored;
    DSRASQ_CHECK(!std::filesystem::exists(last, ignored), kInvalidArgument, kWhere,
                 "the question is missing: the last argument, ", last, ", is a file");
    DSRASQ_CHECK(config.context.size() > 1, kInvalidArgument, kWhere,
                 "want dsrasq ask --context FILE... QUESTION, and there is only one of them: \"",
                 last, "\"");
    config.question = last;
    config.context.pop_back();
  }
  DSRASQ_CHECK(!config.question.empty(), kInvalidArgument, kWhere, "the question is missing");
  DSRASQ_CHECK(config.context.empty() != config.session.empty(), kInvalidArgument, kWhere,
               "want either --context FILE... or --session FILE");
}

struct Reading {
  std::unique_ptr<session::Session> session;
  std::vector<TextFile> files;
  ReadSpeed speed;
};

Reading read_context(const AskConfig& config, const session::Engine& engine, const Prompt& prompt,
                     const Console& console) {
  Reading reading;
  reading.files = load_texts(engine.tokenizer(), config.context);
  const auto policy = fit_pool(engine, config.model, count_tokens(reading.files), console);
  reading.session = std::make_unique<session::Session>(engine, policy);
  session::Session& session = *reading.session;
  if (is_fixed(session.policy())) console.note(memory_line(session.policy()));
  const bool question_first = policy.retention == "question";
  session.policy().set_probing(question_first);
  session.read(prompt.before_texts(question_first ? config.question : ""));
  session.policy().set_probing(false);
  reading.speed = read_texts(session, reading.files, console);
  return reading;
}

Reading open_session(const AskConfig& config, const session::Engine& engine,
                     const Console& console) {
  refuse_policy_options(config.model);
  Reading reading;
  reading.session = session::Session::load(engine, config.session);
  if (is_fixed(reading.session->policy())) console.note(memory_line(reading.session->policy()));
  for (const session::Source& source : reading.session->sources())
    reading.speed.tokens += source.n_tokens;
  return reading;
}

nlohmann::ordered_json ask(const AskConfig& given, const Console& console) {
  AskConfig config = given;
  settle_question(config);
  config.model.policy.seed = config.answer.sampling.seed;
  config.answer.check();
  const session::Engine engine = load_engine(config.model, console);
  const Prompt prompt(engine.tokenizer());
  Reading reading = config.session.empty() ? read_context(config, engine, prompt, console)
                                           : open_session(config, engine, console);
  session::Session& session = *reading.session;
  config.answer.stop = prompt.with_stops(config.answer.stop);
  const bool wants_passages = config.show_retrieved || console.json();
  const Answer answer =
      print_answer(session, prompt.ask(config.question), config.answer, wants_passages, console);
  const auto passages = passages_of(session, answer.retrieved, std::move(reading.files), console);
  if (config.show_retrieved) console.result(passages_text(passages));
  nlohmann::ordered_json result = answer_json(session, answer, reading.speed);
  if (!config.session.empty()) result["session_bytes"] = std::filesystem::file_size(config.session);
  result["passages"] = passages_json(passages);
  return result;
}

}  // namespace

Command ask_command() {
  return make_command<AskConfig>(
      {"ask", "reads files of any length, then answers a question from them",
       "  dsrasq ask --context book.txt \"Who wrote the letter?\"\n"
       "  dsrasq ask --context *.log --show-retrieved -- \"When did the disk fail?\"\n"
       "  dsrasq ask --context big.txt --memory 256M --retention question \"Who is Ann?\"\n"
       "  dsrasq digest book.txt -o book.dsr && dsrasq ask --session book.dsr \"Who wins?\"\n"},
      ask);
}

}  // namespace dsrasq::cli
