#include "cli/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <utility>

#include "cli/fields.h"

namespace dsrasq::cli {
std::string format_clock(double seconds) {
  const auto whole = static_cast<int64_t>(std::lround(seconds));
  char text[48];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  return text;
}

std::string format_count(int64_t n) {
  std::string digits = std::to_string(n);
  const auto first = static_cast<int64_t>(digits.starts_with('-'));
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > first; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string progress_line(const ProgressFigures& f) {
  const double rate = f.seconds > 0 ? static_cast<double>(f.done) / f.seconds : 0;
  char percent[16] = "  0 %", speed[32] = "";
  if (f.total > 0)
    std::snprintf(percent, sizeof percent, "%3lld %%",
                  static_cast<long long>(100 * f.done / f.total));
  if (rate > 0) std::snprintf(speed, sizeof speed, "  %.*f ", rate < 10 ? 1 : 0, rate);
  std::string line = f.label + "  " + percent + "  " + format_count(f.done) + " of " +
                     format_count(f.total) + " " + f.unit;
  if (rate > 0) line += speed + f.unit + "/s";
  if (rate > 0 && f.done < f.total)
    line += "  " + format_clock(static_cast<double>(f.total - f.done) / rate) + " left";
  if (f.done >= f.total) line += "  in " + format_clock(f.seconds);
  if (f.memory_bytes > 0) line += "  memory " + format_bytes(f.memory_bytes);
  return line;
}

Progress::Progress(ProgressFigures figures, bool shown)
    : figures_(std::move(figures)),
      shown_(shown),
      on_terminal_(::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() { finish(); }

bool Progress::is_due(Clock::time_point now) const {
  using std::chrono::milliseconds;
  if (figures_.done >= figures_.total) return true;
  if (on_terminal_) return now - last_ >= milliseconds(100);
  return now - last_ >= milliseconds(10000) ||
         100 * figures_.done / figures_.total >= last_percent_ + 10;
}

void Progress::update(int64_t done, int64_t total) {
  const Clock::time_point now = Clock::now();
  figures_.done = done;
  figures_.total = total;
  if (!shown_ || total <= 0 || !is_due(now)) return;
  last_ = now;
  last_percent_ = 100 * done / total;
  figures_.seconds = std::chrono::duration<double>(now - start_).count();
  const std::string line = progress_line(figures_);
  if (on_terminal_)
    std::cerr << '\r' << line << "\033[K" << std::flush;  // and clears what was longer before
  else
    std::cerr << line << '\n' << std::flush;
  line_open_ = on_terminal_;
}

void Progress::finish() {
  if (line_open_) std::cerr << '\n' << std::flush;
  line_open_ = false;
}

}  // namespace dsrasq::cli
