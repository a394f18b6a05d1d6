#include "dsrasq/eval/work_count.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

// Two layers, E = 32, F = 56, H = 4, Hkv = 2, D = 16. A token's linear layers: 32 (64 + 32 + 32) +
// 64 * 32 + 32 * 112 + 56 * 32 = 11,520 weights a layer.
constexpr const char* kModel = "tests/golden/models/text";
constexpr int64_t kLinear = 2 * 2 * 11520;
// A token that one layer's query reads: 2 products with 4 heads of 16; 2 rows of 2 * 16 floats.
constexpr int64_t kAttention = 2 * 2 * 4 * 16, kRowBytes = 2 * 2 * 16 * 4;

class WorkCount : public FolderTest {
 protected:
  /// Reads random tokens; what the policy retrieved, summed over the queries of a layer.
  static int64_t retrieved(const session::Engine& engine, const policy::PolicyOptions& options,
                           int64_t n_tokens) {
    session::Session session(engine, options);
    std::vector<int32_t> ids(static_cast<size_t>(n_tokens));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 37 % 300);
    session.read(ids);
    return std::llround(session.policy().mean_retrieved() * static_cast<double>(n_tokens));
  }

  /// The model with a random indexer in both layers: 4 heads of 32.
  session::Engine with_adapter() const {
    retriever::Adapter adapter;
    adapter.base_fingerprint = plain_.fingerprint();
    adapter.base_name = "text";
    adapter.n_embd = 32;
    adapter.d_max = 1000;
    adapter.record = "{}";
    for (const int64_t layer : {0, 1})
      adapter.indexers[layer] = retriever::Adapter::random(32, 4, 32, 1);
    adapter.save(folder_ / "a.safetensors");
    return session::Engine({.model = kModel, .adapter = (folder_ / "a.safetensors").string()});
  }

  const session::Engine plain_{{.model = kModel, .adapter = "none"}};
  // 192 tokens: one eviction, at 128, when 60 tokens have left the window and 2 pages leave.
  const policy::PolicyOptions small_{
      .name = "dsrasq", .window = 64, .sinks = 4, .top_k = 8, .pool = 32, .block = 64};
};

TEST_F(WorkCount, FullAttentionIsATriangle) {
  const auto work = reading_work(plain_, {.name = "full"}, 3, 0);
  ASSERT_TRUE(work);
  EXPECT_EQ(work->operations, 3 * kLinear + 2 * kAttention * (1 + 2 + 3));
  EXPECT_EQ(work->cache_bytes, 2 * kRowBytes * (1 + 2 + 3));
}

TEST_F(WorkCount, AWindowIsReadWithItsSinks) {
  // A window of 4 and 2 sinks, query by query: 1 2 3 4, then 5, then 6.
  const auto work = reading_work(plain_, {.name = "window", .window = 4, .sinks = 2}, 8, 0);
  ASSERT_TRUE(work);
  EXPECT_EQ(work->operations, 8 * kLinear + 2 * kAttention * (1 + 2 + 3 + 4 + 5 + 6 + 6 + 6));
  EXPECT_EQ(work->cache_bytes, 2 * kRowBytes * 33);
}

TEST_F(WorkCount, CandidatesAreThoseThatARunCouldPick) {
  policy::PolicyOptions all = small_;
  all.name = "recency";
  all.top_k = 512;  // more than there ever are
  // 1 to 60 for the queries at 68 to 127, then 29 to 92.
  const int64_t by_hand = 60 * 61 / 2 + 64 * (29 + 92) / 2;
  EXPECT_EQ(sparse_query_tokens(all, 192).candidates, by_hand);
  EXPECT_EQ(retrieved(plain_, all, 192), by_hand);
  for (const int64_t n : {1, 64, 68, 69, 128, 129, 500})
    EXPECT_EQ(sparse_query_tokens(all, n).candidates, retrieved(plain_, all, n)) << n;
}

TEST_F(WorkCount, ARetrieverScansAndReadsWhatItPicks) {
  const session::Engine engine = with_adapter();
  const int64_t picked = retrieved(engine, small_, 192);
  EXPECT_EQ(picked, 28 + 53 * 8 + 64 * 8);  // 1 to 7, then 8 each
  const auto work = reading_work(engine, small_, 192, static_cast<double>(picked) / 192);
  ASSERT_TRUE(work);
  const int64_t local = 64 * 65 / 2 + 128 * 64 + (1 + 2 + 3 + 125 * 4), scanned = 5702;
  const int64_t indexer = 2 * 32 * (4 * 32 + 32 + 4 + 1);
  EXPECT_EQ(work->operations, 192 * kLinear + 2 * (kAttention * (local + picked) + 192 * indexer +
                                                   scanned * 2 * 4 * (32 + 1)));
  EXPECT_EQ(work->cache_bytes,
            2 * (kRowBytes * local + picked * 2 * 2 * (16 + 4) + scanned * (32 + 4)));
}

TEST_F(WorkCount, SomePoliciesHaveNoRule) {
  EXPECT_FALSE(reading_work(plain_, {.name = "h2o"}, 10, 0));
  EXPECT_FALSE(reading_work(plain_, {.name = "oracle"}, 10, 0));
}

}  // namespace
}  // namespace dsrasq::eval
