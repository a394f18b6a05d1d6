#pragma once

// Where a command speaks: results on stdout, everything else on stderr. With --json stdout gets one
// line at the very end and nothing before.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace dsrasq::cli {

/// What an error says, and the part of the program that says it.
struct ErrorMessage {
  std::string where, sentence;
};
/// Of "[formats.gguf] model.gguf: ..."; `where` is empty when there is none.
ErrorMessage split_message(std::string_view what);

class Console {
 public:
  Console(bool json, bool quiet) : json_(json), quiet_(quiet) {}

  /// Text of the result for people, e.g. an answer as it comes: nothing with --json.
  void result(std::string_view text) const;
  /// The result as "name: value" lines for people: nothing with --json.
  void result_lines(const nlohmann::ordered_json& result) const;
  /// A line about the work, on stderr: nothing with --quiet.
  void note(std::string_view line) const;
  /// A line that matters even with --quiet, on stderr.
  void warn(std::string_view line) const;

  bool json() const { return json_; }
  bool quiet() const { return quiet_; }

 private:
  bool json_, quiet_;
};

}  // namespace dsrasq::cli
