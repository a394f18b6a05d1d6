#pragma once

// From the words of a command line and a configuration file to the fields of a command.

#include <string>
#include <vector>

#include "cli/fields.h"

namespace dsrasq::cli {

/// What --help says around the list of options.
struct HelpText {
  std::string command;  ///< e.g. "eval perplexity"
  std::string summary;
  std::string examples;  ///< whole lines
};

/// True when the words ask for help before a "--".
bool wants_help(const std::vector<std::string>& words);

/// The page that --help prints: usage, every option with its default, examples.
std::string help_page(const HelpText& help, const FieldList& fields);

/// Sets the fields from the command's words and, below them, from the file that the field `config`
/// names, if any. Throws kInvalidArgument naming the option or key that is unknown or wrong, and
/// kBadInput for a configuration file that cannot be read.
void parse_options(const HelpText& help, const FieldList& fields,
                   const std::vector<std::string>& words);

/// Sets fields from a configuration file, JSON or (by its name) TOML, leaving out the keys `given`.
/// A table named like a command belongs to that command alone.
void load_config(const std::string& path, const std::string& command, const FieldList& fields,
                 const std::vector<std::string>& given);

}  // namespace dsrasq::cli
