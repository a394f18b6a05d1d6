#include "dsrasq/sweep/queue.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <memory>
#include <thread>

#include "dsrasq/core/child_process.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/sweep/point_folder.h"

namespace dsrasq::sweep {
namespace {

constexpr const char* kInQueue = "sweep.queue";
constexpr auto kLook = std::chrono::milliseconds(20);  // how often processes are looked at
constexpr auto kGrace = std::chrono::seconds(30);      // from being asked to stop to being killed

// Two sweeps in one folder would write the same files. The system forgets the lock with the
// process.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    ::close(fd_);
    throw Error(ErrorCode::kUnavailable, kInQueue,
                concat("another sweep is at work in ", folder.string()));
  }
  ~FolderLock() { ::close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

class Queue {
 public:
  Queue(const std::vector<Point>& points, const SweepWork& work)
      : work_(work), running_(work.workers.size()) {
    for (const Point& point : points)
      if (!PointFolder(work.folder, point).is_finished()) waiting_.push_back(&point);
  }

  void run() {
    while (!waiting_.empty() || is_running()) {
      for (size_t worker = 0; worker < running_.size(); ++worker) advance(worker);
      if (interrupted()) stop();
      std::this_thread::sleep_for(kLook);
    }
  }

 private:
  struct Running {
    const Point* point = nullptr;
    size_t stage = 0;
    std::unique_ptr<ChildProcess> process;  // null where nothing runs
  };

  bool is_running() const {
    return std::any_of(running_.begin(), running_.end(),
                       [](const Running& one) { return one.process != nullptr; });
  }

  void advance(size_t worker) {
    Running& one = running_[worker];
    if (one.process) {
      if (const auto status = one.process->exit_status()) go_on(worker, *status);
    } else if (!waiting_.empty()) {
      one.point = waiting_.front();
      waiting_.pop_front();
      const PointFolder files(work_.folder, *one.point);
      one.stage = files.next_stage();
      files.begin(one.stage);
      if (work_.started) work_.started(*one.point, work_.workers[worker]);
      start_stage(worker);
    }
  }

  void start_stage(size_t worker) {
    Running& one = running_[worker];
    const Stage& stage = one.point->stages[one.stage];
    const PointFolder files(work_.folder, *one.point);
    ChildCommand command{.words = {work_.program.string()},
                         .variables = work_.workers[worker].variables,
                         .output = files.output(stage),
                         .errors = files.log(stage)};
    command.words.insert(command.words.end(), stage.words.begin(), stage.words.end());
    one.process = std::make_unique<ChildProcess>(command);
  }

  // After the end of a stage's process.
  void go_on(size_t worker, int exit_status) {
    Running& one = running_[worker];
    const PointFolder files(work_.folder, *one.point);
    one.process.reset();
    const bool is_done = files.keep(one.point->stages[one.stage], exit_status);
    if (is_done && ++one.stage < one.point->stages.size()) return start_stage(worker);
    if (is_done) files.clear_scratch();
    if (work_.ended) work_.ended(*one.point);
  }

  // What a process does not keep by itself is done again next time.
  [[noreturn]] void stop() {
    for (Running& one : running_)
      if (one.process) one.process->send(SIGINT);
    const auto end = std::chrono::steady_clock::now() + kGrace;
    while (is_running() && std::chrono::steady_clock::now() < end) {
      for (Running& one : running_)
        if (one.process && one.process->exit_status()) one.process.reset();
      std::this_thread::sleep_for(kLook);
    }
    running_.clear();
    throw Error(ErrorCode::kInterrupted, kInQueue,
                "stopped by the user; the same command goes on from here");
  }

  const SweepWork& work_;
  std::deque<const Point*> waiting_;
  std::vector<Running> running_;  // by worker
};

}  // namespace

void run_points(const std::vector<Point>& points, const SweepWork& work) {
  const FolderLock lock(work.folder);
  Queue(points, work).run();
}

}  // namespace dsrasq::sweep
