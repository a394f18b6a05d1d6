#include "dsrasq/memory/lost_share.h"

#include <gtest/gtest.h>

namespace dsrasq::memory {
namespace {

constexpr LeavingRule kRule{.window = 512, .sinks = 4, .pool = 2048, .block = 512};

TEST(LostShare, IsZeroWhileThePoolHoldsAllAndThenGrows) {
  EXPECT_EQ(lost_share(kRule, 0), 0);
  EXPECT_EQ(lost_share(kRule, 512 + 2048), 0);
  double before = 0;
  for (int64_t position = 3072; position < 40000; position += 512) {
    const double share = lost_share(kRule, position);
    EXPECT_GT(share, before);
    EXPECT_LT(share, 1);
    before = share;
  }
}

TEST(LostShare, CountsWhatHadLeftAtTheLastMultipleOfTheBlock) {
  // 4,096 - 512 - 4 tokens had left the window, 2,048 of them are in the pool.
  EXPECT_DOUBLE_EQ(lost_share(kRule, 4096), (3580.0 - 2048) / 3580);
  EXPECT_EQ(lost_share(kRule, 4607), lost_share(kRule, 4096));
  EXPECT_GT(lost_share(kRule, 4608), lost_share(kRule, 4096));
}

TEST(LostShare, IsOneWithoutAPool) {
  EXPECT_EQ(lost_share({.window = 512, .sinks = 4, .pool = 0, .block = 512}, 4096), 1);
}

}  // namespace
}  // namespace dsrasq::memory
