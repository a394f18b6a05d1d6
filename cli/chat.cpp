// dsrasq chat: a conversation in one session of fixed memory.

#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/message_reader.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "dsrasq/core/error.h"

namespace dsrasq::cli {
namespace {

volatile std::sig_atomic_t stop_wanted = 0;

// In a chat Ctrl-C stops the answer, not the program.
void watch_stops() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_wanted = 1; };
  sigaction(SIGINT, &action, nullptr);
}

void check_stop() {
  if (stop_wanted) throw Error(ErrorCode::kInterrupted, "cli.chat", "the answer was stopped");
}

constexpr const char* kHelpText =
    "/save FILE   keep this session in a file\n"
    "/load FILE   go on with a kept session, also one of dsrasq digest\n"
    "/stats       tokens, memory, speed\n"
    "/help        this text\n"
    "/exit        leave (also Ctrl-D)\n"
    "A line that ends in \\ goes on in the next one, and so does a text between \"\"\" and "
    "\"\"\".\n"
    "Ctrl-C stops an answer.\n";

struct ChatConfig {
  std::string session;
  SessionOptions model;
  AnswerOptions answer;

  template <class V>
  void visit(V&& v) {
    v(session, "session", "a session file to go on with");
    model.visit(v);
    answer.visit(v);
  }
};

class Chat {
 public:
  Chat(const ChatConfig& config, const session::Engine& engine, const Console& console)
      : config_(config), engine_(engine), console_(console), prompt_(engine.tokenizer()) {
    config_.answer.stop = prompt_.with_stops(config_.answer.stop);
    if (config.session.empty())
      session_ =
          std::make_unique<session::Session>(engine, fit_pool(engine, config.model, 0, console));
    else
      load(config.session);
  }

  nlohmann::ordered_json run();

 private:
  /// False when the user leaves.
  bool command(const std::string& line);
  void reply(const std::string& message);
  void load(const std::string& path);
  std::string stats() const;

  ChatConfig config_;
  const session::Engine& engine_;
  const Console& console_;
  Prompt prompt_;
  std::unique_ptr<session::Session> session_;
  Answer last_;
  ReadSpeed read_;
  nlohmann::ordered_json turns_ = nlohmann::ordered_json::array();
};

void Chat::load(const std::string& path) {
  refuse_policy_options(config_.model);
  session_ = session::Session::load(engine_, path);
}

std::string Chat::stats() const {
  const policy::Policy& policy = session_->policy();
  std::string out = concat(format_count(session_->position()), " tokens in this session; ",
                           memory_line(policy), "; policy ", policy.name());
  if (last_.generated.n_tokens > 0)
    out += concat("\nlast answer: ", last_.generated.n_tokens, " tokens, the first after ",
                  static_cast<int64_t>(last_.first_token_ms), " ms, then ",
                  static_cast<int64_t>(last_.generated.decode_tokens_per_s), " tokens/s");
  return out + concat("\nretrieved per query: ", policy.mean_retrieved(), " tokens\n");
}

void Chat::reply(const std::string& message) {
  // A session of `digest` ends within a user's message, behind the texts.
  const auto& sources = session_->sources();
  const bool behind_text =
      !sources.empty() &&
      sources.back().first_token + sources.back().n_tokens == session_->position();
  const auto ids =
      behind_text ? prompt_.ask(message) : prompt_.turn(message, session_->position() == 0);
  stop_wanted = 0;
  nlohmann::ordered_json turn{{"message", message}};
  std::string shown;
  try {
    last_ = answer_prompt(
        *session_, ids, config_.answer, false,
        [&](std::string_view text) {
          shown += text;
          console_.result(text);
          check_stop();
        },
        [](int64_t, int64_t) { check_stop(); });
    turn["finish_reason"] = last_.generated.finish_reason;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kInterrupted) throw;
    turn["finish_reason"] = "interrupted";
  }
  console_.result("\n");
  turn["answer"] = shown;
  turns_.push_back(std::move(turn));
  read_.tokens += static_cast<int64_t>(ids.size());
}

bool Chat::command(const std::string& line) {
  const size_t space = line.find(' ');
  const std::string name = line.substr(0, space);
  const std::string argument = space == std::string::npos ? "" : line.substr(space + 1);
  if (name == "/exit" || name == "/quit") return false;
  if (name == "/help") {
    console_.result(kHelpText);
  } else if (name == "/stats") {
    console_.result(stats());
  } else if ((name == "/save" || name == "/load") && argument.empty()) {
    console_.warn(name + " needs a file name");
  } else if (name == "/save") {
    session_->save(argument);
    console_.note("kept in " + argument);
  } else if (name == "/load") {
    load(argument);
    console_.note(concat("going on after ", format_count(session_->position()), " tokens"));
  } else {
    console_.warn("there is no " + name + "; /help lists the commands");
  }
  return true;
}

nlohmann::ordered_json Chat::run() {
  watch_stops();
  if (is_fixed(session_->policy())) console_.note(memory_line(session_->policy()));
  console_.note("/help lists the commands, /exit leaves");
  const LineSource lines = [](bool goes_on) { return read_input_line(goes_on ? "... " : "> "); };
  while (true) {
    stop_wanted = 0;
    const std::optional<std::string> message = read_message(lines);
    if (!message && stop_wanted) {
      console_.note("\n/exit leaves");
      continue;
    }
    if (!message) break;
    if (message->find_first_not_of(" \t\n") == std::string::npos) continue;
    if (!message->starts_with('/')) {
      reply(*message);
      continue;
    }
    try {
      if (!command(*message)) break;
    } catch (const Error& e) {  // a file that cannot be read or written does not end the chat
      console_.warn(split_message(e.what()).sentence);
    }
  }
  nlohmann::ordered_json result = answer_json(*session_, last_, read_);
  result["context_tokens"] = session_->position();
  result["turns"] = std::move(turns_);
  return result;
}

nlohmann::ordered_json chat(const ChatConfig& config, const Console& console) {
  ChatConfig resolved = config;
  resolved.model.policy.seed = config.answer.sampling.seed;
  resolved.answer.check();
  const session::Engine engine = load_engine(resolved.model, console);
  return Chat(resolved, engine, console).run();
}

}  // namespace

Command chat_command() {
  return make_command<ChatConfig>(
      {"chat", "a conversation in one session of fixed memory",
       "  dsrasq chat\n"
       "  dsrasq chat --memory 256M --temperature 0.7 --repeat-penalty 1.1\n"
       "  dsrasq chat --session book.dsr\n"
       "  echo \"What is a cache?\" | dsrasq chat --json\n"},
      chat);
}

}  // namespace dsrasq::cli
