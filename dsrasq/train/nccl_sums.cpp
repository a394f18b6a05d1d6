#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "dsrasq/core/error.h"
#include "dsrasq/train/worker_sums.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInNcclSums = "train.processes";

// NCCL's C interface as nccl.h of version 2 has it (it is loaded with a CUDA build of LibTorch). No
// header is needed to build, so one program serves machines with and without GPUs.
struct UniqueId {
  std::array<char, 128> bytes;
};
using Communicator = struct ncclComm*;
constexpr int kSuccess = 0, kInProgress = 7, kSumOperation = 0;
constexpr int kInt64 = 4, kFloat32 = 7, kFloat64 = 8;

struct Nccl {
  int (*get_unique_id)(UniqueId*);
  int (*init_rank)(Communicator*, int size, UniqueId, int rank);
  int (*all_reduce)(const void*, void*, size_t count, int type, int operation, Communicator,
                    void* stream);
  int (*async_error)(Communicator, int* error);
  const char* (*error_text)(int);

  Nccl() {
    // Never closed: LibTorch needs it too.
    void* library = dlopen("libnccl.so.2", RTLD_NOW);
    DSRASQ_CHECK(library != nullptr, kUnavailable, kInNcclSums,
                 "GPUs of several processes need NCCL, which cannot be loaded: ", dlerror());
    const auto load = [&](auto& function, const char* name) {
      using Function = std::remove_reference_t<decltype(function)>;
      function = reinterpret_cast<Function>(dlsym(library, name));
      DSRASQ_CHECK(function != nullptr, kUnavailable, kInNcclSums, "this NCCL has no ", name);
    };
    load(get_unique_id, "ncclGetUniqueId");
    load(init_rank, "ncclCommInitRank");
    load(all_reduce, "ncclAllReduce");
    load(async_error, "ncclCommGetAsyncError");
    load(error_text, "ncclGetErrorString");
  }

  void check(int status, const char* what) const {
    if (status != kSuccess && status != kInProgress)
      throw std::runtime_error(concat("NCCL: ", what, ": ", error_text(status)));
  }
};

int type_of(const at::Tensor& values) {
  switch (values.scalar_type()) {
    case at::kFloat: return kFloat32;
    case at::kDouble: return kFloat64;
    case at::kLong: return kInt64;
    default: break;
  }
  throw Error(ErrorCode::kInternal, kInNcclSums, "sums over processes are of fp32, fp64 or int64");
}

class NcclSum final : public PendingSum {
 public:
  NcclSum(const Nccl& nccl, Communicator group, at::Tensor values, const c10::Stream& stream)
      : nccl_(nccl), group_(group), values_(std::move(values)), done_(values_.device().type()) {
    done_.record(stream);
  }
  bool is_done() override {
    int error = kSuccess;
    nccl_.check(nccl_.async_error(group_, &error), "state");
    nccl_.check(error, "sum over processes");
    return done_.query();
  }

 private:
  const Nccl& nccl_;
  Communicator group_;
  at::Tensor values_;  // stays until the other stream has done with it
  c10::Event done_;
};

class NcclSums final : public WorkerSums {
 public:
  NcclSums(const WorkerPlace& place, WorkerStore& store, at::Device device,
           const std::function<std::string(const char*)>& wait_for)
      : guard_(device.type()), stream_(guard_.getStreamFromGlobalPool(device, true)) {
    const c10::DeviceGuard here(device);
    UniqueId id{};
    if (place.rank == 0) {
      nccl_.check(nccl_.get_unique_id(&id), "name of the group");
      store.set("nccl", std::string(id.bytes.data(), id.bytes.size()));
    }
    const std::string name = wait_for("nccl");
    std::copy_n(name.data(), std::min(name.size(), id.bytes.size()), id.bytes.data());
    nccl_.check(
        nccl_.init_rank(&group_, static_cast<int>(place.size), id, static_cast<int>(place.rank)),
        "meeting of the processes");
  }

  // The group is left to the end of the process: taking it down waits for all others, which may
  // be gone.
  std::unique_ptr<PendingSum> start(const at::Tensor& values) override {
    const c10::DeviceGuard here(values.device());
    c10::Event ready(values.device().type());
    ready.record(guard_.getStream(values.device()));
    ready.block(stream_);
    void* data = values.mutable_data_ptr();
    nccl_.check(nccl_.all_reduce(data, data, static_cast<size_t>(values.numel()), type_of(values),
                                 kSumOperation, group_, stream_.native_handle()),
                "begin of a sum");
    return std::make_unique<NcclSum>(nccl_, group_, values, stream_);
  }

 private:
  Nccl nccl_;
  c10::impl::VirtualGuardImpl guard_;
  c10::Stream stream_;
  Communicator group_ = nullptr;
};

}  // namespace

std::unique_ptr<WorkerSums> make_nccl_sums(
    const WorkerPlace& place, WorkerStore& store, at::Device device,
    const std::function<std::string(const char*)>& wait_for) {
  return std::make_unique<NcclSums>(place, store, device, wait_for);
}

}  // namespace dsrasq::train
