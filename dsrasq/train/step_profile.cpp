#include "dsrasq/train/step_profile.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

struct Cost {
  double seconds = 0;
  int64_t calls = 0;
};

// What every operator took without those that it called.
std::map<std::string, Cost> costs_of(const std::vector<profiler::KinetoEvent>& events) {
  std::vector<const profiler::KinetoEvent*> sorted;
  for (const profiler::KinetoEvent& event : events)
    if (event.deviceType() == at::kCPU) sorted.push_back(&event);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::tuple(a->startThreadId(), a->startNs(), b->endNs()) <
           std::tuple(b->startThreadId(), b->startNs(), a->endNs());
  });
  std::map<std::string, Cost> costs;
  std::vector<const profiler::KinetoEvent*> running;  // every one within the one before it
  for (const profiler::KinetoEvent* event : sorted) {
    while (!running.empty() && (running.back()->startThreadId() != event->startThreadId() ||
                                running.back()->endNs() < event->endNs()))
      running.pop_back();
    const double seconds = static_cast<double>(event->durationNs()) * 1e-9;
    if (!running.empty()) costs[running.back()->name()].seconds -= seconds;
    Cost& cost = costs[event->name()];
    cost.seconds += seconds;
    ++cost.calls;
    running.push_back(event);
  }
  return costs;
}

nlohmann::ordered_json entries(const std::map<std::string, Cost>& costs) {
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

StepProfile::~StepProfile() {
  if (watches_) profiler::disableProfiler();
}

// With nothing left to run on the device.
double StepProfile::now() const {
  if (!device_.is_cpu()) {
    const c10::impl::VirtualGuardImpl guard(device_.type());
    guard.synchronizeDevice(guard.getDevice().index());
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void StepProfile::begin(int64_t step) {
  if (path_.empty() || step != kFirst) return;
  const std::set<ActivityType> activities{ActivityType::CPU};
  const ProfilerConfig config(ProfilerState::KINETO);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  watches_ = true;
  started_ = now();
}

void StepProfile::end(int64_t step) {
  if (!watches_ || step + 1 != kFirst + kSteps) return;
  const double wall = now() - started_;
  watches_ = false;
  const auto result = profiler::disableProfiler();
  nlohmann::ordered_json json{{"steps", kSteps}, {"wall_seconds", wall}};
  json["entries"] = entries(costs_of(result->events()));
  write_file(path_, json.dump(1) + "\n");
}

}  // namespace dsrasq::train
