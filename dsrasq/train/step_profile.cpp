#include "dsrasq/train/step_profile.h"

#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

using ProfileClock = std::chrono::steady_clock;

struct Cost {
  double seconds = 0;
  int64_t calls = 0;
};

// Of all threads: operators are watched by plain functions, of the whole process.
std::mutex mutex_of_costs;
std::map<std::string, Cost> costs;

// An operator that runs, and what those took that it called.
struct Running : at::ObserverContext {
  ProfileClock::time_point start;
  double inner_seconds = 0;
  Running* outer = nullptr;
};
thread_local Running* innermost = nullptr;

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction&) {
  auto running = std::make_unique<Running>();
  running->outer = std::exchange(innermost, running.get());
  running->start = ProfileClock::now();
  return running;
}

void on_end(const at::RecordFunction& function, at::ObserverContext* context) {
  const Running& running = *static_cast<Running*>(context);
  const double seconds = std::chrono::duration<double>(ProfileClock::now() - running.start).count();
  innermost = running.outer;
  if (innermost != nullptr) innermost->inner_seconds += seconds;
  const std::lock_guard lock(mutex_of_costs);
  Cost& cost = costs[function.name()];
  cost.seconds += seconds - running.inner_seconds;
  ++cost.calls;
}

nlohmann::ordered_json entries() {
  const std::lock_guard lock(mutex_of_costs);
  std::vector<std::pair<std::string, Cost>> sorted(costs.begin(), costs.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& [name, cost] : sorted)
    list.push_back({{"name", name}, {"seconds", cost.seconds}, {"calls", cost.calls}});
  return list;
}

}  // namespace

StepProfile::StepProfile(std::filesystem::path path, at::Device device)
    : path_(std::move(path)), device_(device) {}

StepProfile::~StepProfile() { stop(); }

void StepProfile::stop() {
  if (watch_ != 0) at::removeCallback(std::exchange(watch_, 0));
}

// With nothing left to run on the device.
double StepProfile::now() const {
  if (!device_.is_cpu()) {
    const c10::impl::VirtualGuardImpl guard(device_.type());
    guard.synchronizeDevice(guard.getDevice().index());
  }
  return std::chrono::duration<double>(ProfileClock::now().time_since_epoch()).count();
}

void StepProfile::begin(int64_t step) {
  if (path_.empty() || step != kFirst) return;
  {
    const std::lock_guard lock(mutex_of_costs);
    costs.clear();
  }
  watch_ = at::addGlobalCallback(at::RecordFunctionCallback(on_start, on_end));
  started_ = now();
}

void StepProfile::end(int64_t step) {
  if (watch_ == 0 || step + 1 != kFirst + kSteps) return;
  const double wall = now() - started_;
  stop();
  const nlohmann::ordered_json json{
      {"steps", kSteps}, {"wall_seconds", wall}, {"entries", entries()}};
  write_file(path_, json.dump(1) + "\n");
}

}  // namespace dsrasq::train
