#include "dsrasq/train/worker_store.h"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"

namespace dsrasq::train {
namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kInWorkerStore = "train.processes";
constexpr int kOnlyFatal = 3;
// So often a process that waits for its server looks whether the user wants it to stop.
constexpr milliseconds kOneTry{2000};

Store served(const WorkerPlace& place) {
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.isServer = true;
  options.waitWorkers = false;
  options.useLibUV = false;  // not every build of LibTorch has it
  try {
    return c10::make_intrusive<c10d::TCPStore>(place.address, options);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kUnavailable, kInWorkerStore,
                concat("process 0 cannot listen at ", place.address, ":", place.port,
                       " (MASTER_ADDR and MASTER_PORT): ", first_line(error.what())));
  }
}

Store reached(const WorkerPlace& place, milliseconds patience) {
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.waitWorkers = false;
  options.useLibUV = false;
  options.timeout = std::min(kOneTry, patience);
  for (const Clock::time_point start = Clock::now();;) {
    check_interrupt();
    try {
      auto store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
      store->setTimeout(patience);
      return store;
    } catch (const std::exception& error) {
      DSRASQ_CHECK(Clock::now() - start < patience, kUnavailable, kInWorkerStore, "process ",
                   place.rank, " finds nobody at ", place.address, ":", place.port,
                   " (MASTER_ADDR and MASTER_PORT): ", first_line(error.what()));
    }
  }
}

}  // namespace

struct WorkerStore::Impl {
  Store store;
};

WorkerStore::WorkerStore(const WorkerPlace& place, milliseconds patience) {
  // What LibTorch says by itself about connections, with stack traces, is what our errors say.
  FLAGS_caffe2_log_level = kOnlyFatal;
  const bool serves = place.rank == 0 && !place.is_served;
  impl_ = std::make_unique<Impl>(Impl{c10::make_intrusive<c10d::PrefixStore>(
      place.run, serves ? served(place) : reached(place, patience))});
}

WorkerStore::~WorkerStore() = default;

void WorkerStore::set(const std::string& name, const std::string& text) {
  impl_->store->set(name, text);
}

std::string WorkerStore::set_once(const std::string& name, const std::string& text) {
  return impl_->store->compareSet(name, "", text);
}

std::optional<std::string> WorkerStore::get(const std::string& name) {
  if (!impl_->store->check({name})) return std::nullopt;
  return impl_->store->get_to_str(name);
}

int64_t WorkerStore::add(const std::string& name, int64_t value) {
  return impl_->store->add(name, value);
}

Store WorkerStore::connection() const { return impl_->store->clone(); }

std::string first_line(std::string_view message) {
  return std::string(message.substr(0, message.find('\n')));
}

}  // namespace dsrasq::train
