// dsrasq digest: reads texts once and keeps what is remembered of them in a session file.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/reading.h"
#include "cli/session_setup.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/process.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kInDigest = "cli.digest";

struct DigestConfig {
  std::vector<std::string> files;
  std::string output;
  std::string session;
  SessionOptions model;

  template <class V>
  void visit(V&& v) {
    v(files, "FILES", "files to read, one after another; - is standard input");
    v(output, "output", "the session file to write");
    v(session, "session", "a session file to go on from");
    model.visit(v);
  }
};

void check(const DigestConfig& config) {
  DSRASQ_CHECK(!config.files.empty(), kInvalidArgument, kInDigest, "want files to read");
  DSRASQ_CHECK(!config.output.empty(), kInvalidArgument, kInDigest,
               "want -o FILE, the session file to write");
  DSRASQ_CHECK(config.model.policy.retention != "question", kInvalidArgument, kInDigest,
               "--retention question needs the question before the text; use dsrasq ask --context");
  session::check_can_be_saved(config.model.policy);
  if (!config.session.empty()) refuse_policy_options(config.model);
}

std::unique_ptr<session::Session> start(const DigestConfig& config, const session::Engine& engine,
                                        const std::vector<TextFile>& files,
                                        const Console& console) {
  if (!config.session.empty()) return session::Session::load(engine, config.session);
  const auto policy = fit_pool(engine, config.model, count_tokens(files), console);
  auto session = std::make_unique<session::Session>(engine, policy);
  session->read(Prompt(engine.tokenizer()).before_texts());
  return session;
}

// Hours of reading should not end at a file that cannot be written.
void check_output(const std::string& path, uint64_t n_bytes) {
  const AtomicFileWriter tries_to_create(path);
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  DSRASQ_CHECK(error || space.available >= n_bytes, kOutput, kInDigest, path, " will take ",
               format_bytes(n_bytes), ", and ", format_bytes(space.available), " are free in ",
               folder.string());
}

// What was read of the last source before the user stopped.
void mark_interrupted(session::Session& session) {
  if (session.sources().empty()) return;
  session::Source& last = session.sources().back();
  last.n_tokens = session.position() - last.first_token;
}

Json digest(const DigestConfig& config, const Console& console) {
  check(config);
  check_output(config.output, 0);
  const session::Engine engine = load_engine(config.model, console);
  const auto files = load_texts(engine.tokenizer(), config.files);
  const auto session = start(config, engine, files, console);
  if (is_fixed(session->policy())) console.note(memory_line(session->policy()));
  check_output(config.output, session->policy().bytes());
  ReadSpeed speed;
  bool was_interrupted = false;
  try {
    speed = read_texts(*session, files, console);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kInterrupted) throw;
    was_interrupted = true;
    mark_interrupted(*session);
  }
  session->save(config.output);
  if (was_interrupted)
    throw Error(
        ErrorCode::kInterrupted, kInDigest,
        concat("stopped after ", session->position(), " tokens, which ", config.output, " holds"));
  const uint64_t session_bytes = std::filesystem::file_size(config.output);
  DigestConfig resolved = config;
  resolved.model.policy = session->options();
  write_config(config.output, resolved);
  Json result{{"session", config.output},
              {"session_bytes", session_bytes},
              {"context_tokens", session->position()},
              {"read_tokens", speed.tokens},
              {"policy", session->policy().name()},
              {"cache_bytes", session->policy().bytes()},
              {"peak_rss_bytes", peak_rss_bytes()},
              {"prefill_tokens_per_s", speed.tokens_per_s()}};
  console.result_lines(result);
  return result;
}

}  // namespace

Command digest_command() {
  return make_command<DigestConfig>(
      {"digest", "reads files once and keeps what is remembered in a session file",
       "  dsrasq digest book.txt -o book.dsr\n"
       "  dsrasq digest monday.log -o week.dsr --memory 512M\n"
       "  dsrasq digest --session week.dsr -o week.dsr -- tuesday.log\n"},
      digest);
}

}  // namespace dsrasq::cli
