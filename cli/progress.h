#pragma once

// How far a long read is: one line that is redrawn on a terminal, a plain line now and then
// elsewhere.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace dsrasq::cli {

/// The line at `done` of `total` tokens after `seconds`, e.g.
/// "reading  42 %  51,200 of 119,465 tokens  812 tokens/s  1:24 left  memory 226 MiB".
std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds,
                          uint64_t memory_bytes);

/// "119,465".
std::string format_count(int64_t n);

class Progress {
 public:
  /// Writes to stderr; `shown` false: never writes. Memory 0 leaves that figure out.
  Progress(std::string label, bool shown, uint64_t memory_bytes = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done, int64_t total);
  /// Ends the redrawn line; called by the destructor too.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  bool is_due(int64_t done, int64_t total, Clock::time_point now) const;

  std::string label_;
  bool shown_, on_terminal_;
  uint64_t memory_bytes_;
  Clock::time_point start_, last_;
  int64_t last_percent_ = 0;
  bool line_open_ = false;
};

}  // namespace dsrasq::cli
