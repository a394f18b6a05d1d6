#include "dsrasq/eval/work_queue.h"

#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInWorkQueue = "eval.work_queue";
constexpr int64_t kMostThreads = 256;

}  // namespace

WorkQueue::WorkQueue(int64_t n_threads, c10::Device device) {
  DSRASQ_CHECK(n_threads >= 1 && n_threads <= kMostThreads, kInvalidArgument, kInWorkQueue,
               "--at-once is ", n_threads, ", want 1 to ", kMostThreads);
  if (n_threads == 1) return;
  if (!device.is_cpu()) {  // the weights may still be on their way, on this thread's stream
    const c10::impl::VirtualGuardImpl guard(device.type());
    device = guard.getDevice();  // with its number
    guard.getStream(device).synchronize();
  }
  for (int64_t i = 0; i < n_threads; ++i) threads_.emplace_back([this, device] { work(device); });
}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_ = {};
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::add(Task task) {
  if (threads_.empty()) return task();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return failure_ || waiting_.size() < threads_.size(); });
  throw_failure();
  waiting_.push(std::move(task));
  changed_.notify_all();
}

void WorkQueue::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return n_running_ == 0 && (failure_ || waiting_.empty()); });
  throw_failure();
}

void WorkQueue::throw_failure() {
  if (failure_) std::rethrow_exception(failure_);
}

void WorkQueue::work(c10::Device device) {
  at::set_num_threads(1);
  if (!device.is_cpu()) {
    const c10::impl::VirtualGuardImpl guard(device.type());
    guard.setDevice(device);
    guard.exchangeStream(guard.getStreamFromGlobalPool(device));
  }
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || (!failure_ && !waiting_.empty()); });
    if (stopping_) return;
    const Task task = std::move(waiting_.front());
    waiting_.pop();
    ++n_running_;
    lock.unlock();
    changed_.notify_all();
    std::exception_ptr failure;
    try {
      task();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (!failure_) failure_ = failure;
    --n_running_;
    changed_.notify_all();
  }
}

}  // namespace dsrasq::eval
