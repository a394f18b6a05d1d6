#pragma once

// Samples of an evaluation at the same time: one sequence that is generated leaves most of a GPU
// idle.

#include <c10/core/Device.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace dsrasq::eval {

/// Runs tasks on threads, each with a stream of its own on a GPU. With one thread they run in
/// `add`, one after the other.
class WorkQueue {
 public:
  using Task = std::function<void()>;

  /// Throws kInvalidArgument where `n_threads` is not from 1 to 256.
  WorkQueue(int64_t n_threads, c10::Device device);
  /// Drops what has not begun and waits for the rest.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Waits while as many tasks wait as there are threads. Throws what a task before has thrown.
  void add(Task task);
  /// Waits for all tasks; throws what the first one that failed has thrown.
  void finish();

 private:
  void work(c10::Device device);
  void throw_failure();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<Task> waiting_;
  int64_t n_running_ = 0;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace dsrasq::eval
