#include "cli/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/fields.h"

namespace dsrasq::cli {
namespace {

std::string clock_text(double seconds) {
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

}  // namespace

std::string format_count(int64_t n) {
  std::string digits = std::to_string(n);
  const auto first = static_cast<int64_t>(digits.starts_with('-'));
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > first; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds,
                          uint64_t memory_bytes) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  char percent[16] = "  0 %", speed[40] = "";
  if (total > 0)
    std::snprintf(percent, sizeof percent, "%3lld %%", static_cast<long long>(100 * done / total));
  if (rate > 0) std::snprintf(speed, sizeof speed, "  %.*f tokens/s", rate < 10 ? 1 : 0, rate);
  std::string line = label + "  " + percent + "  " + format_count(done) + " of " +
                     format_count(total) + " tokens" + speed;
  if (rate > 0 && done < total)
    line += "  " + clock_text(static_cast<double>(total - done) / rate) + " left";
  if (done >= total) line += "  in " + clock_text(seconds);
  if (memory_bytes > 0) line += "  memory " + format_bytes(memory_bytes);
  return line;
}

Progress::Progress(std::string label, bool shown, uint64_t memory_bytes)
    : label_(std::move(label)),
      shown_(shown),
      on_terminal_(::isatty(STDERR_FILENO) != 0),
      memory_bytes_(memory_bytes),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() { finish(); }

bool Progress::is_due(int64_t done, int64_t total, Clock::time_point now) const {
  using std::chrono::milliseconds;
  if (done >= total) return true;
  if (on_terminal_) return now - last_ >= milliseconds(100);
  return now - last_ >= milliseconds(10000) || 100 * done / total >= last_percent_ + 10;
}

void Progress::update(int64_t done, int64_t total) {
  const Clock::time_point now = Clock::now();
  if (!shown_ || total <= 0 || !is_due(done, total, now)) return;
  last_ = now;
  last_percent_ = 100 * done / total;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string line = progress_line(label_, done, total, seconds, memory_bytes_);
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
