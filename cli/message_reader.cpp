#include "cli/message_reader.h"

#include <unistd.h>

#include <iostream>

namespace dsrasq::cli {
namespace {

constexpr const char* kQuotes = "\"\"\"";

// Removes every """ of the line and turns `quoted` over for each.
void strip_quotes(std::string& line, bool& quoted) {
  for (size_t at = 0; (at = line.find(kQuotes, at)) != std::string::npos;) {
    line.erase(at, 3);
    quoted = !quoted;
  }
}

}  // namespace

std::optional<std::string> read_message(const LineSource& next_line) {
  std::optional<std::string> message;
  bool quoted = false;
  while (std::optional<std::string> line = next_line(message.has_value())) {
    if (line->ends_with('\r')) line->pop_back();
    strip_quotes(*line, quoted);
    const bool goes_on = !quoted && line->ends_with('\\');
    if (goes_on) line->pop_back();
    message = message ? *message + "\n" + *line : *line;
    if (!quoted && !goes_on) break;
  }
  return message;
}

std::optional<std::string> read_input_line(const std::string& prompt) {
  if (::isatty(STDIN_FILENO) != 0) return read_terminal_line(prompt);
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
}

}  // namespace dsrasq::cli
