#pragma once

// Another program that works for this one.

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dsrasq {

struct ChildCommand {
  std::vector<std::string> words;                ///< the program's path first
  std::map<std::string, std::string> variables;  ///< beside those of this process, or instead
  std::filesystem::path output, errors;          ///< files that stdout and stderr go to
};

/// A child process with nothing on its stdin. It has a process group of its own, so that Ctrl-C in
/// a terminal reaches this process alone, which decides; when the thread that started it ends, in
/// whatever way, it gets SIGTERM.
class ChildProcess {
 public:
  /// Throws kOutput naming a file that cannot be written, kResourceExhausted when the system starts
  /// no more processes. A program that cannot be run ends with 127 and says why in `errors`.
  explicit ChildProcess(const ChildCommand& command);
  /// Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Its exit status once it has ended, 128 plus the signal where one ended it; does not wait.
  std::optional<int> exit_status();
  /// No more than a request, and nothing once it has ended.
  void send(int signal);

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace dsrasq
