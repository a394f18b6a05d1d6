#pragma once

// Sums over processes, by LibTorch's Gloo on the CPU and by NCCL on GPUs.

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

#include "dsrasq/train/worker_place.h"
#include "dsrasq/train/worker_store.h"

namespace dsrasq::train {

/// A sum that goes on beside other work. The tensor is not to be touched until it is done.
class PendingSum {
 public:
  virtual ~PendingSum() = default;
  /// Does not wait. Throws std::exception when the other processes are out of reach.
  virtual bool is_done() = 0;
};

class WorkerSums {
 public:
  virtual ~WorkerSums() = default;
  /// Replaces `values`, contiguous and in memory of the sums' device, by the sum over all
  /// processes. All have to begin the same sums in the same order.
  virtual std::unique_ptr<PendingSum> start(const at::Tensor& values) = 0;
};

/// Of tensors on the CPU. Throws std::exception when the others are out of reach.
std::unique_ptr<WorkerSums> make_gloo_sums(const WorkerPlace& place, const WorkerStore& store);

/// `fp32`, `fp64` and `int64` tensors on `device`, whose current stream they follow. `wait_for`
/// returns what another process has set in the store. Throws kUnavailable without NCCL.
std::unique_ptr<WorkerSums> make_nccl_sums(const WorkerPlace& place, WorkerStore& store,
                                           at::Device device,
                                           const std::function<std::string(const char*)>& wait_for);

}  // namespace dsrasq::train
