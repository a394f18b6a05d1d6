// dsrasq ask: reads texts of any length, then answers a question from them.

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/prompt.h"
#include "cli/reread.h"
#include "dsrasq/core/error.h"

namespace dsrasq::cli {
namespace {

constexpr const char* kInAsk = "cli.ask";
constexpr int64_t kPassages = 3, kMaxPassages = 64;

struct AskConfig {
  std::vector<std::string> context;
  std::string session;
  std::string question;
  int64_t reread = 3;
  bool show_retrieved = false;
  SessionOptions model;
  AnswerOptions answer;

  template <class V>
  void visit(V&& v) {
    v(context, "context", "files to read first, one after another; - is standard input");
    v(session, "session", "a session file of dsrasq digest, instead of --context");
    v(question, "QUESTION", "what to answer");
    v(reread, "reread",
      "passages that the question finds and that are read again before the answer; 0: it comes "
      "from the memory of the whole text");
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
    DSRASQ_CHECK(!std::filesystem::exists(last, ignored), kInvalidArgument, kInAsk,
                 "the question is missing: the last argument, ", last, ", is a file");
    DSRASQ_CHECK(config.context.size() > 1, kInvalidArgument, kInAsk,
                 "want dsrasq ask --context FILE... QUESTION, and there is only one of them: \"",
                 last, "\"");
    config.question = last;
    config.context.pop_back();
  }
  DSRASQ_CHECK(!config.question.empty(), kInvalidArgument, kInAsk, "the question is missing");
  DSRASQ_CHECK(config.context.empty() != config.session.empty(), kInvalidArgument, kInAsk,
               "want either --context FILE... or --session FILE");
}

struct Reading {
  std::unique_ptr<session::Session> session;
  std::vector<TextFile> files;
  ReadSpeed speed;
  bool rereads = false;  // passages, before the answer
};

uint64_t passage_bytes(const session::Engine& engine, int64_t n_passages) {
  return policy::planned_bytes(reread_options(n_passages), engine.model().shape(), nullptr);
}

Reading read_context(const AskConfig& config, const session::Engine& engine, const Prompt& prompt,
                     const Console& console) {
  Reading reading;
  reading.files = load_texts(engine.tokenizer(), config.context);
  const uint64_t for_passages = passage_bytes(engine, config.reread);
  reading.rereads = config.reread > 0 && has_room_for(for_passages, engine, config.model);
  if (config.reread > 0 && !reading.rereads)
    console.note("--memory leaves no room to read passages again: the answer comes from memory");
  const auto policy = fit_pool(engine, config.model, count_tokens(reading.files), console,
                               reading.rereads ? for_passages : 0);
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
  reading.rereads = config.reread > 0;
  reading.session = session::Session::load(engine, config.session);
  if (is_fixed(reading.session->policy())) console.note(memory_line(reading.session->policy()));
  for (const session::Source& source : reading.session->sources())
    reading.speed.tokens += source.n_tokens;
  return reading;
}

struct Found {
  Answer answer;
  std::vector<session::Passage> passages;
  size_t reread_bytes = 0;
};

// From the memory alone; the passages are those that question and answer read.
Found answer_from_memory(const AskConfig& config, session::Session& session,
                         std::span<const int32_t> question, std::vector<TextFile> files,
                         const Console& console) {
  const bool wants_passages = config.show_retrieved || console.json();
  Found found{.answer = print_answer(session, question, config.answer, wants_passages, console)};
  found.passages =
      passages_of(session, found.answer.retrieved, std::move(files), kPassages, console);
  return found;
}

// From the passages that the question finds, read again. Where it finds none the session, which has
// read the question by then, answers itself.
Found answer_from_passages(const AskConfig& config, session::Session& session, const Prompt& prompt,
                           std::span<const int32_t> question, std::vector<TextFile> files,
                           const Console& console) {
  const auto start = std::chrono::steady_clock::now();
  Found found{.passages =
                  find_evidence(session, question, config.reread, std::move(files), console)};
  std::unique_ptr<session::Session> again;
  if (!found.passages.empty()) {
    again =
        reread(session.engine(), prompt, found.passages, reread_options(config.reread), console);
    found.reread_bytes = again->policy().bytes();
  }
  const double before_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  found.answer = again ? print_answer(*again, question, config.answer, false, console)
                       : print_answer(session, {}, config.answer, false, console);
  found.answer.first_token_ms += before_ms;
  return found;
}

nlohmann::ordered_json ask(const AskConfig& given, const Console& console) {
  AskConfig config = given;
  settle_question(config);
  config.model.policy.seed = config.answer.sampling.seed;
  config.answer.check();
  DSRASQ_CHECK(config.reread >= 0 && config.reread <= kMaxPassages, kInvalidArgument, kInAsk,
               "--reread is ", config.reread, ", want 0 to ", kMaxPassages);
  const session::Engine engine = load_engine(config.model, console);
  const Prompt prompt(engine.tokenizer());
  Reading reading = config.session.empty() ? read_context(config, engine, prompt, console)
                                           : open_session(config, engine, console);
  session::Session& session = *reading.session;
  config.answer.stop = prompt.with_stops(config.answer.stop);
  const std::vector<int32_t> question = prompt.ask(config.question);
  const Found found = reading.rereads ? answer_from_passages(config, session, prompt, question,
                                                             std::move(reading.files), console)
                                      : answer_from_memory(config, session, question,
                                                           std::move(reading.files), console);
  if (config.show_retrieved) console.result(passages_text(found.passages, found.reread_bytes > 0));
  nlohmann::ordered_json result = answer_json(session, found.answer, reading.speed);
  result["cache_bytes"] = session.policy().bytes() + found.reread_bytes;
  if (!config.session.empty()) result["session_bytes"] = std::filesystem::file_size(config.session);
  result["passages"] = passages_json(found.passages);
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
