// With libedit (BSD): arrow keys, and a history of this run.

#include <editline/readline.h>

#include <clocale>
#include <cstdlib>
#include <memory>

#include "cli/message_reader.h"

namespace dsrasq::cli {

std::optional<std::string> read_terminal_line(const std::string& prompt) {
  static const bool is_ready = [] {
    std::setlocale(LC_CTYPE, "");  // characters of several bytes
    using_history();
    rl_outstream = stderr;
    return true;
  }();
  static_cast<void>(is_ready);
  const std::unique_ptr<char, decltype(&std::free)> line(::readline(prompt.c_str()), &std::free);
  if (!line) return std::nullopt;
  if (*line) add_history(line.get());
  return line.get();
}

}  // namespace dsrasq::cli
