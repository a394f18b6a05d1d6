#include "dsrasq/core/process.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <limits>
#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq {
namespace {

// `timeout` signals a process and then its group, and the kernel tells of a parent's death for each
// of its threads: signals that come at once are one request.
constexpr int64_t kOneRequestMs = 200;

std::atomic<int64_t> interrupted_at = 0;                   // ms of a clock; 0: never
static_assert(std::atomic<int64_t>::is_always_lock_free);  // as a handler needs it

void on_interrupt(int) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t ms = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000 + 1;
  int64_t before = 0;
  if (!interrupted_at.compare_exchange_strong(before, ms) && ms - before > kOneRequestMs)
    ::_exit(error_info(ErrorCode::kInterrupted).exit_status);
}

// The value in bytes of a "Name:   123 kB" line of a file under /proc.
uint64_t proc_kb(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
  return 0;
}

uint64_t control_group_limit() {
  std::ifstream in("/sys/fs/cgroup/memory.max");
  uint64_t bytes = 0;
  return in >> bytes ? bytes : std::numeric_limits<uint64_t>::max();
}

}  // namespace

uint64_t total_memory_bytes() {
  return std::min(proc_kb("/proc/meminfo", "MemTotal"), control_group_limit());
}
uint64_t available_memory_bytes() {
  return std::min(proc_kb("/proc/meminfo", "MemAvailable"), control_group_limit());
}
uint64_t peak_rss_bytes() { return proc_kb("/proc/self/status", "VmHWM"); }
uint64_t current_rss_bytes() { return proc_kb("/proc/self/status", "VmRSS"); }

void watch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupted_at > 0; }

void check_interrupt() {
  if (interrupted()) throw Error(ErrorCode::kInterrupted, "core.process", "stopped by the user");
}

}  // namespace dsrasq
