// Without libedit: the terminal's own line editing.

#include <iostream>

#include "cli/message_reader.h"

namespace dsrasq::cli {

std::optional<std::string> read_terminal_line(const std::string& prompt) {
  std::cerr << prompt << std::flush;
  std::string line;
  if (std::getline(std::cin, line)) return line;
  std::cin.clear();  // after Ctrl-C there is more to come
  return std::nullopt;
}

}  // namespace dsrasq::cli
