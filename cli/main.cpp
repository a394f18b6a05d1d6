// Finds the command, runs it, prints its result and maps errors to exit statuses. The only
// catch-all of the program.

#include <c10/util/Exception.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <algorithm>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/suggest.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/log.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

constexpr const char* kInMain = "cli";

/// Options that every command has and none runs on.
struct CommonConfig {
  bool json = false;
  bool quiet = false;
  std::string config;

  template <class V>
  void visit(V&& v) {
    v(json, "json", "stdout is one line: one JSON object");
    v(quiet, "quiet", "no progress and no notes on stderr");
    v(config, "config", "file with options, JSON or TOML; the command line goes first");
  }
};

void print_json(const Json& object) {
  std::cout << object.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

void flush_stdout() {
  std::cout.flush();
  DSRASQ_CHECK(std::cout.good(), kOutput, kInMain, "standard output cannot be written");
}

int fail(ErrorCode code, std::string_view what, bool as_json) {
  const ErrorInfo info = error_info(code);
  const auto [where, sentence] = split_message(what);
  if (as_json) {
    print_json({{"status", "error"}, {"code", info.name}, {"message", sentence}, {"where", where}});
    std::cout.flush();
  }
  log(LogLevel::kError, sentence);
  return info.exit_status;
}

bool has_flag(const Words& words, const std::string& flag) {
  for (const std::string& word : words) {
    if (word == flag) return true;
    if (word == "--") return false;
  }
  return false;
}

std::string overview(const std::vector<Command>& commands, const std::string& group) {
  std::string out =
      "dsrasq runs a language model with a memory of fixed size and a learned way to read it.\n\n"
      "usage: dsrasq COMMAND [options]\n\ncommands:\n";
  for (const Command& command : commands) {
    if (!command.help.command.starts_with(group)) continue;
    std::string name = command.help.command;
    name.resize(std::max<size_t>(name.size(), 18), ' ');
    out += "  " + name + " " + command.help.summary + "\n";
  }
  return out +
         "\nA first run:\n  dsrasq ask --context book.txt \"Who wrote the letter?\"\n\n"
         "dsrasq COMMAND --help shows a command's options and examples.\n";
}

// The command that the first words name, which are removed; null when they only begin one.
const Command* find_command(const std::vector<Command>& commands, Words& words) {
  const std::string two = words.size() > 1 ? words[0] + " " + words[1] : "";
  Words first_names, names;
  for (const Command& command : commands) {
    const std::string& name = command.help.command;
    if (name != words[0] && name != two) {
      names.push_back(name);
      first_names.push_back(name.substr(0, name.find(' ')));
      continue;
    }
    words.erase(words.begin(), words.begin() + (name == two ? 2 : 1));
    return &command;
  }
  const bool is_group =
      std::find(first_names.begin(), first_names.end(), words[0]) != first_names.end();
  if (is_group && (words.size() < 2 || words[1].starts_with("-"))) return nullptr;
  names.insert(names.end(), first_names.begin(), first_names.end());
  const std::string typed = is_group ? two : words[0];
  throw Error(ErrorCode::kInvalidArgument, kInMain,
              concat("unknown command \"", typed, "\"", suggestion(typed, names, "dsrasq ")));
}

void run_command(Command command, const Words& words) {
  CommonConfig common;
  const FieldList own = command.fields;
  command.fields.add(common);
  if (wants_help(words)) {
    std::cout << help_page(command.help, command.fields);
    return flush_stdout();
  }
  parse_options(command.help, command.fields, words);
  const Console console(common.json, common.quiet);
  Json result = command.run(console);
  if (common.json) {
    Json out{{"status", "ok"}};
    out.update(result);
    if (!out.contains("config")) out["config"] = own.json();
    print_json(out);
  }
  flush_stdout();
}

void dispatch(Words words) {
  const std::vector<Command> commands = all_commands();
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words == Words{"help"}) {
    std::cout << overview(commands, "");
    return flush_stdout();
  }
  if (words[0] == "--version") words[0] = "version";
  if (words[0] == "help" && words.size() > 1) {
    words.erase(words.begin());
    words.push_back("--help");
  }
  // Options that every command has may stand before it.
  Words before;
  while (words.size() > 1 && (words[0] == "--json" || words[0] == "--quiet")) {
    before.push_back(words[0]);
    words.erase(words.begin());
  }
  if (const Command* command = find_command(commands, words)) {
    words.insert(words.begin(), before.begin(), before.end());
    return run_command(*command, words);
  }
  DSRASQ_CHECK(wants_help(words), kInvalidArgument, kInMain, "dsrasq ", words[0],
               " needs one more word; dsrasq ", words[0], " --help lists them");
  std::cout << overview(commands, words[0] + " ");
  flush_stdout();
}

int run(const Words& words) {
  const bool as_json = has_flag(words, "--json");
  try {
    dispatch(words);
    return 0;
  } catch (const Error& e) {
    return fail(e.code(), e.what(), as_json);
  } catch (const c10::Error& e) {
    const std::string what = e.what_without_backtrace();
    const bool no_memory = what.find("not enough memory") != std::string::npos ||
                           what.find("out of memory") != std::string::npos;
    return fail(no_memory ? ErrorCode::kResourceExhausted : ErrorCode::kInternal, what, as_json);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, "out of memory", as_json);
  } catch (const std::exception& e) {
    return fail(ErrorCode::kInternal, e.what(), as_json);
  }
}

}  // namespace
}  // namespace dsrasq::cli

// Leaves without running destructors of globals: those of some CUDA builds of LibTorch abort, and
// nothing that matters is left to them.
int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a write over the user's limit then fails as on a full disk
  const int status = dsrasq::cli::run({argv + 1, argv + argc});
  std::cout.flush();
  std::fflush(nullptr);
  std::_Exit(status);
}
