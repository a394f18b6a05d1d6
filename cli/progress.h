#pragma once

// How far a long read is: one line that is redrawn on a terminal, a plain line now and then
// elsewhere.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace dsrasq::cli {

/// What a progress line says.
struct ProgressFigures {
  std::string label;
  std::string unit = "tokens";
  int64_t done = 0, total = 0;
  double seconds = 0;         ///< since the start
  uint64_t memory_bytes = 0;  ///< 0: not said
};

/// E.g. "reading  42 %  51,200 of 119,465 tokens  812 tokens/s  1:24 left  memory 226 MiB".
std::string progress_line(const ProgressFigures& figures);

/// "4:10", "1:02:03".
std::string format_clock(double seconds);

/// "119,465".
std::string format_count(int64_t n);

class Progress {
 public:
  /// Writes to stderr, or nothing when not `shown`. Takes label, unit and memory of `figures`.
  Progress(ProgressFigures figures, bool shown);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done, int64_t total);
  /// Ends the redrawn line; called by the destructor too.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  bool is_due(Clock::time_point now) const;

  ProgressFigures figures_;
  bool shown_, on_terminal_;
  Clock::time_point start_, last_;
  int64_t last_percent_ = 0;
  bool line_open_ = false;
};

}  // namespace dsrasq::cli
