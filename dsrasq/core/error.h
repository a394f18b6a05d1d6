#pragma once

// The one exception type of the library and the macros that throw it.

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dsrasq {

/// Why a call failed. Append only: the numbers are part of the interface.
enum class ErrorCode : int {
  kInvalidArgument = 1,    ///< wrong use: a bad option or value; retrying will not help
  kBadInput = 2,           ///< a file or text that cannot be read as what it should be
  kResourceExhausted = 3,  ///< memory or capacity; may succeed with smaller options
  kOutput = 4,             ///< an output that cannot be written (disk full, no permission)
  kUnavailable = 5,        ///< a device, worker or library that this machine lacks
  kStopped = 6,            ///< training stopped, and can be resumed from its last checkpoint
  kInterrupted = 7,        ///< the user asked to stop (Ctrl-C)
  kInternal = 8,           ///< a bug in this library
};

/// How a code looks from outside: the one table that the CLI and a server read.
struct ErrorInfo {
  const char* name;  ///< in JSON, e.g. "bad_input"
  int exit_status;   ///< of the process
  int http_status;
};
ErrorInfo error_info(ErrorCode code) noexcept;

/// The only exception this library throws. `what()` reads "[formats.gguf] model.gguf: ...".
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string_view where, std::string_view message);
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// The parts one after another, as `operator<<` prints them.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace dsrasq

/// Throws `dsrasq::Error` unless `cond` holds. On in every build: use it for what a caller or a
/// file can get wrong, never inside a per-element loop.
#define DSRASQ_CHECK(cond, code, where, ...)                                                  \
  do {                                                                                        \
    if (!(cond)) [[unlikely]]                                                                 \
      throw ::dsrasq::Error(::dsrasq::ErrorCode::code, where, ::dsrasq::concat(__VA_ARGS__)); \
  } while (false)
