#include "dsrasq/train/worker_watch.h"

#include <charconv>
#include <chrono>
#include <utility>

namespace dsrasq::train {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* kInWorkerWatch = "train.processes";
constexpr const char *kFailed = "failed", *kHeard = "heard", *kBroken = "broken";
constexpr auto kBetweenLooks = 500ms;
// Looks, so that a machine that slept does not take the others for dead: 20 s, and where a
// connection broke as well 3 s.
constexpr int kQuietLooks = 40, kQuietAfterBreak = 6;
// Longer than a process needs to hear, or to find out who fell silent.
constexpr auto kHearing = 3s, kFindingOut = 8s;

std::string beat_of(int64_t rank) { return concat("beat/", rank); }

// "[core.file] ab.txt: ..." without the part in brackets.
std::string_view sentence_of(std::string_view what) {
  const size_t end = what.starts_with("[") ? what.find("] ") : std::string_view::npos;
  return end == std::string_view::npos ? what : what.substr(end + 2);
}

}  // namespace

WorkerWatch::WorkerWatch(const WorkerPlace& place, WorkerStore& store)
    : place_(place), store_(store), thread_([this] { watch(); }) {}

WorkerWatch::~WorkerWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stops_.notify_all();
  thread_.join();
}

void WorkerWatch::check() const {
  if (!failed_) return;
  const std::lock_guard lock(mutex_);
  throw Error(failure_->code, kInWorkerWatch, failure_->message);
}

void WorkerWatch::take(Failure failure) {
  const std::lock_guard lock(mutex_);
  if (failure_) return;
  failure_ = std::move(failure);
  failed_ = true;
}

void WorkerWatch::tell_once(ErrorCode code, const std::string& message) {
  store_.set_once(kFailed, concat(static_cast<int>(code), ' ', message));
}

void WorkerWatch::tell(ErrorCode code, std::string_view what) {
  told_ = true;
  try {
    if (!failed_)
      tell_once(code, concat("process ", place_.rank, ": ", sentence_of(first_line(what))));
    count_as_heard();
    if (place_.rank != 0 || place_.is_served) return;
    const Clock::time_point start = Clock::now();
    while (store_.add(kHeard, 0) < place_.size && Clock::now() - start < kHearing)
      std::this_thread::sleep_for(20ms);
  } catch (const std::exception&) {
    // Nobody is left to hear it.
  }
}

void WorkerWatch::count_as_heard() {
  if (!heard_.exchange(true)) store_.add(kHeard, 1);
}

void WorkerWatch::explain(const std::exception& broken) {
  broken_ = true;
  try {
    store_.set(kBroken, "yes");
  } catch (const std::exception&) {
    // Process 0 is the one; the thread finds that out too.
  }
  for (const Clock::time_point start = Clock::now(); Clock::now() - start < kFindingOut;) {
    check();
    std::this_thread::sleep_for(20ms);
  }
  throw Error(ErrorCode::kStopped, kInWorkerWatch,
              concat("the connection of process ", place_.rank,
                     " to the others is lost: ", first_line(broken.what())));
}

void WorkerWatch::watch() {
  std::unique_lock lock(mutex_);
  while (!stop_ && !failed_) {
    lock.unlock();
    try {
      look();
    } catch (const std::exception&) {
      if (!leaving_ || broken_)
        take({ErrorCode::kStopped, place_.is_served
                                       ? "what the processes were started with has ended"
                                       : "process 0, which all others talk to, has ended"});
    }
    lock.lock();
    stops_.wait_for(lock, kBetweenLooks, [this] { return stop_ || failed_.load(); });
  }
}

void WorkerWatch::look() {
  store_.add(beat_of(place_.rank), 1);
  if (const auto told = store_.get(kFailed)) {
    int code = 0;
    const char* end = std::from_chars(told->data(), told->data() + told->size(), code).ptr;
    const auto begin = static_cast<size_t>(end - told->data()) + 1;
    take({static_cast<ErrorCode>(code), begin < told->size() ? told->substr(begin) : ""});
    count_as_heard();
    return;
  }
  if (!leaving_ || broken_) look_after_next();
}

void WorkerWatch::look_after_next() {
  const int64_t next = (place_.rank + 1) % place_.size;
  const int64_t beats = store_.add(beat_of(next), 0);
  quiet_looks_ = beats > 0 && beats == beats_of_next_ ? quiet_looks_ + 1 : 0;
  beats_of_next_ = beats;
  if (quiet_looks_ >= (store_.get(kBroken) ? kQuietAfterBreak : kQuietLooks))
    tell_once(ErrorCode::kStopped, concat("process ", next, " has ended without a word"));
}

}  // namespace dsrasq::train
