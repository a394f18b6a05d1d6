#include "dsrasq/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace dsrasq {
namespace {

TEST(ParallelFor, CoversEveryItemOnceForAnyThreadsAndGrain) {
  for (int threads : {1, 2, 4})
    for (int64_t grain : {1, 3, 100}) {
      set_num_threads(threads);
      std::vector<std::atomic<int>> seen(57);
      for (int repeat = 0; repeat < 50; ++repeat)
        parallel_for(57, grain, [&](int64_t begin, int64_t end) {
          ASSERT_LE(end - begin, grain);
          for (int64_t i = begin; i < end; ++i) seen[i]++;
        });
      for (const auto& count : seen) EXPECT_EQ(count, 50);
    }
}

TEST(ParallelFor, WorkersThatComeLateTakeNoPartOfTheNextCall) {
  set_num_threads(4);
  for (int call = 0; call < 20000; ++call) {
    std::vector<int> parts(3, -1);  // on the heap: a late worker would write to freed memory
    parallel_for(3, 1, [&](int64_t begin, int64_t) { parts[static_cast<size_t>(begin)] = call; });
    ASSERT_EQ(parts, std::vector<int>(3, call));
  }
}

TEST(ParallelFor, ThrowsWhatABodyThrewAndStaysUsable) {
  set_num_threads(3);
  EXPECT_THROW(parallel_for(10, 1,
                            [](int64_t begin, int64_t) {
                              if (begin == 4) throw std::runtime_error("four");
                            }),
               std::runtime_error);
  std::atomic<int> sum = 0;
  parallel_for(10, 1, [&](int64_t begin, int64_t) { sum += static_cast<int>(begin); });
  EXPECT_EQ(sum, 45);
}

TEST(ParallelFor, NestedCallsRunInPlace) {
  set_num_threads(2);
  std::atomic<int> count = 0;
  parallel_for(8, 1, [&](int64_t, int64_t) {
    parallel_for(5, 1, [&](int64_t begin, int64_t end) { count += static_cast<int>(end - begin); });
  });
  EXPECT_EQ(count, 40);
}

}  // namespace
}  // namespace dsrasq
