#pragma once

// How processes that train together learn that one of them has stopped: it tells them why, or falls
// silent.

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "dsrasq/core/error.h"
#include "dsrasq/train/worker_place.h"
#include "dsrasq/train/worker_store.h"

namespace dsrasq::train {

/// A thread that says twice a second that this process lives, and looks after the next one.
class WorkerWatch {
 public:
  /// `store` must outlive the watch.
  WorkerWatch(const WorkerPlace& place, WorkerStore& store);
  ~WorkerWatch();

  /// Throws what the first process that stopped has told, or that it has fallen silent.
  void check() const;
  /// Whether a process has stopped before its time, this one included.
  bool has_failure() const { return failed_ || told_; }
  /// Tells the others why this process stops, unless one has stopped before. Process 0 gives them
  /// the time to hear it.
  void tell(ErrorCode code, std::string_view what);
  /// For a connection that broke: throws as `check`, once it is clear which process has ended.
  [[noreturn]] void explain(const std::exception& broken);
  /// From here on the others may end as they like.
  void leave() { leaving_ = true; }

 private:
  struct Failure {
    ErrorCode code;
    std::string message;
  };

  void watch();
  void look();
  void look_after_next();
  void tell_once(ErrorCode code, const std::string& message);
  void take(Failure failure);
  void count_as_heard();

  const WorkerPlace place_;
  WorkerStore& store_;
  std::atomic<bool> failed_ = false, told_ = false, heard_ = false, leaving_ = false,
                    broken_ = false;
  mutable std::mutex mutex_;
  std::condition_variable stops_;
  bool stop_ = false;
  std::optional<Failure> failure_;
  int64_t beats_of_next_ = 0;
  int quiet_looks_ = 0;
  std::thread thread_;
};

}  // namespace dsrasq::train
