#include "dsrasq/train/process_group.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>
#include <string>
#include <thread>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/train/worker_store.h"
#include "dsrasq/train/worker_watch.h"

namespace dsrasq::train {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* kInProcessGroup = "train.processes";
constexpr auto kBetweenAsking = 20ms;  // the store
constexpr auto kBetweenTries = 50us;   // of a sum under way

}  // namespace

struct ProcessGroup::Connections {
  Connections(const WorkerPlace& place, std::chrono::milliseconds patience)
      : store(place, patience), watch(place, store) {}
  // Groups of LibTorch wait, when they are taken down, for sums that may never end.
  ~Connections() {
    if (!watch.has_failure()) return;
    static_cast<void>(cpu.release());
    static_cast<void>(gpu.release());
  }

  WorkerStore store;
  WorkerWatch watch;
  std::unique_ptr<WorkerSums> cpu, gpu;
};

// What `call` throws that is no Error means that another process is out of reach.
template <class Call>
auto ProcessGroup::reached(const Call& call) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    connections_->watch.explain(error);
  }
}

ProcessGroup::ProcessGroup() = default;

ProcessGroup::ProcessGroup(const WorkerPlace& place, at::Device device,
                           std::chrono::milliseconds patience)
    : place_(place), connections_(std::make_unique<Connections>(place, patience)) {
  try {
    reached([&] {
      meet(patience);
      connect(device);
    });
  } catch (const Error& error) {
    connections_->watch.tell(error.code(), error.what());
    throw;
  }
}

ProcessGroup::~ProcessGroup() = default;

void ProcessGroup::meet(std::chrono::milliseconds patience) {
  WorkerStore& store = connections_->store;
  const std::string size = std::to_string(place_.size), others = store.set_once("size", size);
  DSRASQ_CHECK(size == others, kInvalidArgument, kInProcessGroup, "process ", place_.rank,
               " has WORLD_SIZE ", size, ", others have ", others);
  DSRASQ_CHECK(store.add(concat("came/", place_.rank), 1) == 1, kInvalidArgument, kInProcessGroup,
               "two processes have RANK ", place_.rank);
  const Clock::time_point start = Clock::now();
  for (int64_t came = store.add("came", 1); came < place_.size; came = store.add("came", 0)) {
    connections_->watch.check();
    check_interrupt();
    DSRASQ_CHECK(Clock::now() - start < patience, kUnavailable, kInProcessGroup, came, " of ",
                 place_.size, " processes came to ", place_.address, ":", place_.port, " within ",
                 std::chrono::duration_cast<std::chrono::seconds>(patience).count(), " s");
    std::this_thread::sleep_for(kBetweenAsking);
  }
}

std::string ProcessGroup::wait_for(const char* name) {
  for (;;) {
    if (auto text = connections_->store.get(name)) return *text;
    connections_->watch.check();
    check_interrupt();
    std::this_thread::sleep_for(kBetweenAsking);
  }
}

void ProcessGroup::connect(at::Device device) {
  connections_->cpu = make_gloo_sums(place_, connections_->store);
  if (!device.is_cpu())
    connections_->gpu = make_nccl_sums(place_, connections_->store, device,
                                       [this](const char* name) { return wait_for(name); });
}

void ProcessGroup::run(const std::function<void()>& work) {
  if (!connections_) return work();
  WorkerWatch& watch = connections_->watch;
  try {
    work();
    watch.leave();
    sum(at::zeros({1}, at::kLong));
  } catch (const Error& error) {
    watch.tell(error.code(), error.what());
    throw;
  } catch (const std::exception& error) {
    watch.tell(ErrorCode::kStopped, error.what());
    throw;
  }
}

void ProcessGroup::sum(const at::Tensor& values) { wait(start_sum(values)); }

ProcessGroup::Pending ProcessGroup::start_sum(const at::Tensor& values) {
  if (!connections_) return nullptr;
  connections_->watch.check();
  WorkerSums& sums = values.is_cpu() ? *connections_->cpu : *connections_->gpu;
  return reached([&] { return sums.start(values); });
}

void ProcessGroup::wait(const Pending& pending) {
  if (!pending) return;
  while (!reached([&] { return pending->is_done(); })) {
    connections_->watch.check();
    std::this_thread::sleep_for(kBetweenTries);
  }
}

void ProcessGroup::take_from_first(const at::Tensor& values) {
  if (!is_first()) values.zero_();
  sum(values);
}

int64_t ProcessGroup::of_first(int64_t value) {
  if (!connections_) return value;
  const at::Tensor shared = at::full({1}, value, at::kLong);
  take_from_first(shared);
  return shared.item<int64_t>();
}

bool ProcessGroup::any(bool value) {
  if (!connections_) return value;
  const at::Tensor count = at::full({1}, int64_t{value}, at::kLong);
  sum(count);
  return count.item<int64_t>() > 0;
}

void ProcessGroup::check_same(const std::string& text, const char* what) {
  if (!connections_) return;
  const std::string name = concat("same/", n_checks_++);
  DSRASQ_CHECK(reached([&] { return connections_->store.set_once(name, text); }) == text,
               kInvalidArgument, kInProcessGroup, "process ", place_.rank, " has other ", what,
               " than the others");
}

void ProcessGroup::first_then_others(const std::function<void()>& work) {
  if (is_first()) work();
  static_cast<void>(any(false));
  if (!is_first()) work();
}

std::shared_ptr<ProcessGroup> join_processes(std::string& device) {
  const std::optional<WorkerPlace> place = worker_place();
  if (!place) return std::make_shared<ProcessGroup>();
  DSRASQ_CHECK(!device.starts_with("cuda:"), kInvalidArgument, kInProcessGroup, "--device is ",
               device,
               ", but which GPU each of several processes has is what LOCAL_RANK says: want cuda");
  if (device != "cuda") return std::make_shared<ProcessGroup>(*place, at::kCPU);
  const int64_t n_gpus = at::hasCUDA() ? at::getNumGPUs() : 0;
  DSRASQ_CHECK(place->local_rank < n_gpus, kUnavailable, kInProcessGroup, "LOCAL_RANK ",
               place->local_rank, " wants GPU ", place->local_rank, " of this machine, which has ",
               n_gpus);
  const at::Device gpu(at::kCUDA, static_cast<at::DeviceIndex>(place->local_rank));
  device = gpu.str();
  c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(gpu);
  return std::make_shared<ProcessGroup>(*place, gpu);
}

}  // namespace dsrasq::train
