#include "dsrasq/memory/probe_scores.h"

#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::memory {
namespace {

using Ranks = std::vector<int64_t>;

TEST(ProbeScores, APageCountsByTheProbeThatRanksItBest) {
  ProbeScores scores(5);
  // Probe 0 has large scores and likes pages 0, 1, 2; probe 1 has small ones and likes page 4.
  const float of_probe0[] = {100, 90, 80, 10, 20}, of_probe1[] = {0.1F, 0.2F, 0.3F, 0.4F, 0.5F};
  for (int64_t page = 0; page < 5; ++page) {
    scores.set(page, 0, of_probe0[page]);
    scores.set(page, 1, of_probe1[page]);
  }
  EXPECT_EQ(scores.best_ranks(Ranks{0, 1, 2, 3, 4}), (Ranks{0, 1, 2, 1, 0}));
  EXPECT_EQ(scores.best_ranks(Ranks{1, 2, 3}), (Ranks{0, 1, 0})) << "among those that are there";
}

TEST(ProbeScores, OfEqualScoresTheFirstPageIsBetter) {
  ProbeScores scores(3);
  for (int64_t page = 0; page < 3; ++page) scores.set(page, 7, -2);
  EXPECT_EQ(scores.best_ranks(Ranks{2, 0, 1}), (Ranks{0, 1, 2}));
}

TEST(ProbeScores, APageWithoutScoresIsBehindAll) {
  ProbeScores scores(3);
  scores.set(0, 0, 1);
  scores.set(1, 0, 2);
  EXPECT_EQ(scores.best_ranks(Ranks{0, 1, 2}), (Ranks{1, 0, 3}));
  scores.clear(1);
  EXPECT_EQ(scores.best_ranks(Ranks{0, 1, 2}), (Ranks{0, 3, 3}));
  EXPECT_TRUE(scores.best_ranks({}).empty());
}

}  // namespace
}  // namespace dsrasq::memory
