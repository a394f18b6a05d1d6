#pragma once

// Threads for the CPU kernels: one pool for the process, coarse chunks handed out dynamically, and
// waits that sleep after a short spin, so that a busy machine slows a run in proportion, not more.

#include <cstdint>
#include <functional>

namespace dsrasq {

/// How many threads `parallel_for` uses, the caller's included. Not while one is running.
void set_num_threads(int n_threads);
int num_threads();

/// Calls `body(begin, end)` on parts of [0, n) of at most `grain` items each, which together cover
/// it once. Parts run in any order on any thread; what `body` throws first is thrown again here.
/// Runs in the calling thread when one part is enough, or when called from inside another
/// `parallel_for`.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace dsrasq
