#include "dsrasq/memory/token_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dsrasq/core/error.h"

namespace dsrasq::memory {
namespace {

PoolConfig small_config(Retention retention) {
  return {.n_kv_heads = 2,
          .head_dim = 16,
          .index_dim = 16,
          .capacity = 256,
          .window = 64,
          .block = 64,
          .n_sinks = 4,
          .retention = retention};
}

// Reads `n` tokens whose keys say their position, block by block, as a policy does.
void fill(TokenPool& pool, int64_t first, int64_t n) {
  const PoolConfig& c = pool.config();
  for (int64_t at = first; at < first + n; at += c.block) {
    if (at % c.block == 0) pool.evict(at);
    const int64_t count = std::min(c.block, first + n - at);
    std::vector<float> kv(static_cast<size_t>(count * c.n_kv_heads * c.head_dim), 1.0f);
    std::vector<float> index(static_cast<size_t>(count * c.index_dim), 0.5f);
    pool.append(at, count, kv.data(), kv.data(), index.data());
  }
}

std::set<int64_t> positions(const TokenPool& pool) {
  std::set<int64_t> out;
  for (const int32_t slot : pool.slots_by_position()) out.insert(pool.position_of(slot));
  return out;
}

TEST(TokenPool, SinksAreNotStoredAndPositionsAreExact) {
  TokenPool pool(small_config(Retention::kRecency));
  fill(pool, 0, 100);
  const auto stored = positions(pool);
  EXPECT_EQ(stored.size(), 96u);
  EXPECT_EQ(*stored.begin(), 4);
  EXPECT_EQ(*stored.rbegin(), 99);
}

TEST(TokenPool, RecencyKeepsTheLastTokensInFixedMemory) {
  TokenPool pool(small_config(Retention::kRecency));
  const size_t bytes = pool.bytes();
  EXPECT_EQ(bytes, TokenPool::planned_bytes(pool.config()));
  fill(pool, 0, 64 * 40);
  EXPECT_EQ(pool.bytes(), bytes);
  const auto stored = positions(pool);
  EXPECT_EQ(*stored.rbegin(), 64 * 40 - 1);
  EXPECT_EQ(static_cast<int64_t>(stored.size()), *stored.rbegin() - *stored.begin() + 1);
  EXPECT_LE(stored.size(), 256u + 64 + 64);
  EXPECT_GE(stored.size(), 256u);
}

TEST(TokenPool, ScoreKeepsPagesThatWereRetrieved) {
  TokenPool pool(small_config(Retention::kScore));
  fill(pool, 0, 256);
  const auto slots = pool.slots_by_position();
  const auto wanted = std::find_if(slots.begin(), slots.end(),
                                   [&](int32_t slot) { return pool.position_of(slot) == 20; });
  for (int64_t step = 0; step < 20; ++step) {
    for (int i = 0; i < 50; ++i) pool.count_use(&*wanted, 1);
    fill(pool, 256 + 64 * step, 64);
  }
  EXPECT_TRUE(positions(pool).contains(20));
  EXPECT_FALSE(positions(pool).contains(100));
}

TEST(TokenPool, QuestionKeepsPagesWithTheHighestScore) {
  TokenPool pool(small_config(Retention::kQuestion));
  for (int64_t step = 0; step < 30; ++step) {
    fill(pool, 64 * step, 64);
    for (const int64_t page : pool.take_new_pages())
      pool.set_page_score(page, pool.page_first()[page] < 100 ? 5.0f : 1.0f);
  }
  const auto stored = positions(pool);
  EXPECT_TRUE(stored.contains(4));
  EXPECT_TRUE(stored.contains(99));
  EXPECT_FALSE(stored.contains(300));
  EXPECT_TRUE(stored.contains(64 * 30 - 1)) << "the window's tokens are never dropped";
}

TEST(TokenPool, EveryRetentionStaysWithinItsPagesForAnyCapacity) {
  for (const Retention retention : {Retention::kRecency, Retention::kScore, Retention::kQuestion})
    for (const int64_t capacity : {0, 16, 48, 100, 1000}) {
      PoolConfig config = small_config(retention);
      config.capacity = capacity;
      config.window = 37;
      TokenPool pool(config);
      EXPECT_NO_THROW(fill(pool, 0, 64 * 60)) << capacity;
    }
}

TEST(TokenPool, UnknownRetentionIsNamed) {
  try {
    parse_retention("all");
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'all', want recency, score or question"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace dsrasq::memory
