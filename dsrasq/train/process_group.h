#pragma once

// The processes that train together: each takes its share of a step's batch, and their gradients
// are summed.

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "dsrasq/train/worker_place.h"
#include "dsrasq/train/worker_sums.h"

namespace dsrasq::train {

/// All processes have to make the same calls in the same order. A process alone is a group too, in
/// which every call returns at once and changes nothing.
class ProcessGroup {
 public:
  /// A process alone.
  ProcessGroup();
  /// One of several, whose gradients are on `device`. Returns when all have come; throws
  /// kUnavailable when they have not within `patience`, kInvalidArgument when two have the same
  /// RANK or another WORLD_SIZE, kInterrupted after Ctrl-C.
  ProcessGroup(const WorkerPlace& place, at::Device device,
               std::chrono::milliseconds patience = std::chrono::minutes(5));
  ~ProcessGroup();

  int64_t rank() const { return place_.rank; }
  int64_t size() const { return place_.size; }
  /// The one that writes.
  bool is_first() const { return place_.rank == 0; }
  /// Whether stretch `index` of a batch, or of the held-out text, is this process's.
  bool has(int64_t index) const { return index % place_.size == place_.rank; }

  /// `work` as one of the group: what it throws, the others throw too; returns when all have ended.
  void run(const std::function<void()>& work);

  // What follows throws what another process has thrown, or kStopped naming one that has ended.

  /// Replaces `values` (fp32, fp64 or int64, contiguous, on the CPU or the device) by the sum over
  /// all processes. Waits.
  void sum(const at::Tensor& values);
  using Pending = std::unique_ptr<PendingSum>;
  /// Begins a sum and returns; `values` is not to be touched before `wait`.
  Pending start_sum(const at::Tensor& values);
  void wait(const Pending& pending);
  /// The first process's values in all.
  void take_from_first(const at::Tensor& values);
  int64_t of_first(int64_t value);
  /// Whether it is true in any process.
  bool any(bool value);
  /// Throws kInvalidArgument, saying that `what` differs, unless all have the same text.
  void check_same(const std::string& text, const char* what);
  /// `work` in the first process, and in the others when it has done it.
  void first_then_others(const std::function<void()>& work);

 private:
  struct Connections;
  std::string wait_for(const char* name);
  void meet(std::chrono::milliseconds patience);
  void connect(at::Device device);
  template <class Call>
  auto reached(const Call& call);

  WorkerPlace place_;
  int64_t n_checks_ = 0;
  std::unique_ptr<Connections> connections_;
};

/// The group that the environment speaks of (see worker_place), or a process alone. With device
/// "cuda" this process's GPU is the LOCAL_RANK-th, which `device` then names and which is the
/// current one. Throws kUnavailable when there are fewer.
std::shared_ptr<ProcessGroup> join_processes(std::string& device);

}  // namespace dsrasq::train
