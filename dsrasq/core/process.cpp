#include "dsrasq/core/process.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq {
namespace {

volatile std::sig_atomic_t interrupts = 0;

void on_interrupt(int) {
  interrupts = interrupts + 1;
  if (interrupts > 1) ::_exit(error_info(ErrorCode::kInterrupted).exit_status);
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

bool interrupted() { return interrupts > 0; }

void check_interrupt() {
  if (interrupted()) throw Error(ErrorCode::kInterrupted, "core.process", "stopped by the user");
}

}  // namespace dsrasq
