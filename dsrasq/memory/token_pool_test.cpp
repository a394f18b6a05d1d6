#include "dsrasq/memory/token_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <span>
#include <string>

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

TEST(TokenPool, QuestionKeepsThePagesThatAProbeRanksFirst) {
  TokenPool pool(small_config(Retention::kQuestion));
  for (int64_t step = 0; step < 30; ++step) {
    fill(pool, 64 * step, 64);
    for (const int64_t page : pool.take_new_pages())
      pool.set_probe_score(page, 3, pool.page_first()[page] < 100 ? 5.0f : 1.0f);
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

// What a session file restores, for damaging it.
template <class T>
T* buffer(const TokenPool& pool, const std::string& wanted) {
  T* found = nullptr;
  pool.visit([&](const char* name, std::span<std::byte> raw) {
    if (name == wanted) found = reinterpret_cast<T*>(raw.data());
  });
  return found;
}

std::string refusal(TokenPool& pool, int64_t position) {
  try {
    pool.restored();
    pool.check_position(position);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  return "nothing thrown";
}

TEST(TokenPool, WhatWasStoredIsAcceptedAtItsPositionAlone) {
  for (const Retention retention : {Retention::kRecency, Retention::kScore, Retention::kQuestion})
    for (const int64_t capacity : {0, 16, 48, 256})
      for (const int64_t n_tokens : {0, 3, 4, 5, 64, 100, 64 * 20, 64 * 20 + 21, 64 * 20 + 63}) {
        PoolConfig config = small_config(retention);
        config.capacity = capacity;
        TokenPool pool(config);
        fill(pool, 0, n_tokens);
        EXPECT_EQ(refusal(pool, n_tokens), "nothing thrown") << capacity << ", " << n_tokens;
        if (n_tokens > 20) {
          EXPECT_NE(refusal(pool, n_tokens - 1), "nothing thrown") << n_tokens;
        }
      }
}

TEST(TokenPool, PagesThatCannotBeAreNamed) {
  const auto damaged = [](const std::function<void(TokenPool&)>& damage) {
    TokenPool pool(small_config(Retention::kQuestion));
    fill(pool, 0, 64 * 20 + 21);
    damage(pool);
    return refusal(pool, 64 * 20 + 21);
  };
  const auto first = [](int64_t value) {
    return [value](TokenPool& pool) { buffer<int64_t>(pool, "pool_page_first")[0] = value; };
  };
  const std::string is_damaged = "page 0 of the saved pool is damaged";
  const std::string cannot_be = "page 0 of the saved pool holds 16 tokens from position ";
  const auto expect = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(damaged(first(-4)), is_damaged);
  expect(damaged(first(3)), cannot_be + "3, which cannot be at position 1301");
  expect(damaged(first(21)), cannot_be + "21");
  expect(damaged(first(std::numeric_limits<int64_t>::max() - 11)), cannot_be);
  expect(damaged([](TokenPool& pool) {
           auto* firsts = buffer<int64_t>(pool, "pool_page_first");
           firsts[0] = firsts[1];
         }),
         "the pages of the saved pool are not those of 1301 tokens");
  expect(damaged([](TokenPool& pool) { buffer<int32_t>(pool, "pool_page_count")[0] = 17; }),
         is_damaged);
  expect(damaged([](TokenPool& pool) { buffer<int32_t>(pool, "pool_page_use")[0] = -1; }),
         is_damaged);
  expect(damaged([](TokenPool& pool) {
           buffer<int32_t>(pool, "pool_page_use")[0] = std::numeric_limits<int32_t>::max();
         }),
         is_damaged);
  expect(damaged([](TokenPool& pool) { buffer<float>(pool, "pool_probe_scores")[0] = NAN; }),
         is_damaged);
}

TEST(TokenPool, APoolWithoutRoomForTheRestOfTheBlockIsRefused) {
  TokenPool pool(small_config(Retention::kRecency));
  const int64_t position = 64 * 20 + 4;  // all pages full, 60 tokens to come
  fill(pool, 0, position);
  auto* firsts = buffer<int64_t>(pool, "pool_page_first");
  auto* counts = buffer<int32_t>(pool, "pool_page_count");
  std::set<int64_t> taken(firsts, firsts + pool.n_pages());
  int64_t next = 4;
  for (int64_t page = 0; page < pool.n_pages(); ++page) {
    if (counts[page] > 0) continue;
    while (!taken.insert(next).second) next += kPageTokens;
    firsts[page] = next, counts[page] = kPageTokens;
  }
  const std::string message = refusal(pool, position);
  EXPECT_NE(message.find("has 0 free pages, too few for the next 60 tokens"), std::string::npos)
      << message;
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
