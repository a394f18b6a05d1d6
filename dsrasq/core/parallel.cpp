#include "dsrasq/core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace dsrasq {
namespace {

constexpr int kSpins = 2000;
thread_local bool inside_parallel_for = false;

struct Job {
  const std::function<void(int64_t, int64_t)>* body = nullptr;
  int64_t n = 0;
  int64_t grain = 1;
  std::atomic<int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;

  void work() {
    inside_parallel_for = true;
    for (int64_t begin = next.fetch_add(grain); begin < n; begin = next.fetch_add(grain)) {
      try {
        (*body)(begin, std::min(begin + grain, n));
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        next = n;
      }
    }
    inside_parallel_for = false;
  }
};

// Spins for a moment, then sleeps, until `value` is no longer `old`.
template <class T>
void wait_for_change(std::atomic<T>& value, T old) {
  for (int spin = 0; spin < kSpins; ++spin)
    if (value.load(std::memory_order_acquire) != old) return;
  value.wait(old, std::memory_order_acquire);
}

// The caller waits only for workers that have begun: where other programs keep a worker off the
// processors, its share is done by the others, and it finds the job closed.
class Pool {
 public:
  explicit Pool(int n_threads) {
    try {
      for (int i = 1; i < std::min<int>(n_threads, kInside); ++i)
        workers_.emplace_back([this] { loop(); });
    } catch (const std::system_error&) {  // the system allows no more: fewer do the same work
    }
  }

  ~Pool() {
    stopping_ = true;
    state_.fetch_add(kGeneration, std::memory_order_release);
    state_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(Job& job) {
    const std::lock_guard lock(run_mutex_);
    job_ = &job;
    state_.fetch_add(kGeneration | kOpen, std::memory_order_release);
    state_.notify_all();
    job.work();
    uint32_t state = state_.fetch_sub(kOpen, std::memory_order_acq_rel) - kOpen;
    while ((state & kInside) != 0) {
      wait_for_change(state_, state);
      state = state_.load(std::memory_order_acquire);
    }
  }

 private:
  // `state_`: the number of workers inside the job, whether more may enter, the number of the job.
  static constexpr uint32_t kInside = (1u << 12) - 1, kOpen = 1u << 12, kGeneration = 1u << 13;

  void loop() {
    uint32_t state = 0;
    for (uint32_t done = 0;;) {  // the last job that this worker has seen, by its number
      while (state / kGeneration == done) {
        wait_for_change(state_, state);
        state = state_.load(std::memory_order_acquire);
      }
      if (stopping_) return;
      done = state / kGeneration;
      if (!enter(state)) continue;
      job_->work();
      state = state_.fetch_sub(1, std::memory_order_acq_rel) - 1;
      if ((state & (kInside | kOpen)) == 0) state_.notify_all();
    }
  }

  /// Whether the job that `state` speaks of is still open, and this worker now inside it.
  bool enter(uint32_t& state) {
    const uint32_t job = state / kGeneration;
    while ((state & kOpen) != 0 && state / kGeneration == job)
      if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) return true;
    return false;
  }

  std::vector<std::thread> workers_;
  std::mutex run_mutex_;
  std::atomic<uint32_t> state_{0};
  std::atomic<bool> stopping_{false};
  Job* job_ = nullptr;
};

int default_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> pool = std::make_unique<Pool>(default_threads());
  return pool;
}

}  // namespace

void set_num_threads(int n_threads) {
  const int wanted = std::max(1, n_threads);
  if (pool()->size() != wanted) pool() = std::make_unique<Pool>(wanted);
}

int num_threads() { return pool()->size(); }

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(1, grain);
  if (n <= grain || inside_parallel_for || pool()->size() == 1) {
    for (int64_t begin = 0; begin < n; begin += grain) body(begin, std::min(begin + grain, n));
    return;
  }
  Job job;
  job.body = &body;
  job.n = n;
  job.grain = grain;
  pool()->run(job);
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace dsrasq
