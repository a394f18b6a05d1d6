#pragma once

// A user's message from lines that are typed or piped in.

#include <functional>
#include <optional>
#include <string>

namespace dsrasq::cli {

/// The next line without its end, or nothing at the end of input. `goes_on`: it continues a
/// message.
using LineSource = std::function<std::optional<std::string>(bool goes_on)>;

/// The next message, or nothing at the end of input. A line that ends in a backslash goes on in the
/// next one, and so does everything between """ and """.
std::optional<std::string> read_message(const LineSource& next_line);

/// A line from standard input: edited and with a history on a terminal, where the program was built
/// with libedit. Nothing at the end of input or after Ctrl-C.
std::optional<std::string> read_input_line(const std::string& prompt);

/// The part of `read_input_line` for a terminal; the build chooses one of its two versions.
std::optional<std::string> read_terminal_line(const std::string& prompt);

}  // namespace dsrasq::cli
