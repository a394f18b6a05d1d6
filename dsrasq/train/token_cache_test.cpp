#include "dsrasq/train/token_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

class TokenCacheTest : public testing::Test {
 protected:
  TokenCacheTest() : folder_(fs::temp_directory_path() / concat("token_cache_test.", getpid())) {
    fs::create_directories(folder_);
  }
  ~TokenCacheTest() override { fs::remove_all(folder_); }

  // A byte is a token.
  static std::vector<int32_t> encode(std::string_view text) {
    std::vector<int32_t> ids;
    for (char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  fs::path path() const { return folder_ / "a.tokens"; }

  fs::path folder_;
};

TEST_F(TokenCacheTest, KeepsDocumentsInTwoBytesWhereTheVocabularyAllows) {
  write_token_cache(path(), "vocab", "source", {{1, 2, 3}, {}, {65535, 0}});
  const TokenCache cache(path());
  EXPECT_TRUE(TokenCache::is_one(path()));
  EXPECT_EQ(cache.vocabulary(), "vocab");
  EXPECT_EQ(cache.source(), "source");
  EXPECT_EQ(cache.n_documents(), 3);
  EXPECT_EQ(cache.n_tokens(), 5);
  EXPECT_EQ(cache.begin(2), 3);
  EXPECT_EQ(cache.end(1), 3);
  EXPECT_EQ(cache.read(1, 3), (std::vector<int32_t>{2, 3, 65535}));
  EXPECT_THROW(cache.read(3, 3), Error);
  const auto small = fs::file_size(path());
  write_token_cache(path(), "vocab", "source", {{1, 2, 3}, {}, {65536, 0}});
  EXPECT_EQ(fs::file_size(path()), small + 10);
  EXPECT_EQ(TokenCache(path()).read(3, 2), (std::vector<int32_t>{65536, 0}));
}

TEST_F(TokenCacheTest, ADamagedFileIsRefusedByName) {
  write_token_cache(path(), "vocab", "source", {{1, 2, 3}});
  std::string bytes = read_file(path());
  bytes[bytes.size() / 2] ^= 1;
  write_file(path(), bytes);
  try {
    TokenCache cache(path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("a.tokens"), std::string::npos);
  }
  write_file(path(), "plain text");
  EXPECT_FALSE(TokenCache::is_one(path()));
  EXPECT_FALSE(TokenCache::is_one(folder_ / "absent"));
}

TEST_F(TokenCacheTest, TokenisesACorpusOnceUntilSomethingChanges) {
  write_file(folder_ / "c.jsonl", "{\"text\": \"abc\"}\n{\"text\": \"defgh\"}\n");
  int calls = 0;
  const Encode counting = [&](std::string_view text) { return ++calls, encode(text); };
  const TokeniseOptions options{.vocabulary = "v", .max_tokens = 0};
  tokenise_corpus(folder_ / "c.jsonl", counting, options, path());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(TokenCache(path()).read(0, 8), encode("abcdefgh"));
  tokenise_corpus(folder_ / "c.jsonl", counting, options, path());
  EXPECT_EQ(calls, 2);
  tokenise_corpus(folder_ / "c.jsonl", counting, {.vocabulary = "w", .max_tokens = 0}, path());
  EXPECT_EQ(calls, 4);
  write_file(folder_ / "c.jsonl", "{\"text\": \"abd\"}\n{\"text\": \"defgh\"}\n");
  tokenise_corpus(folder_ / "c.jsonl", counting, {.vocabulary = "w", .max_tokens = 0}, path());
  EXPECT_EQ(calls, 6);
}

TEST_F(TokenCacheTest, ALimitIsSpreadOverTheDocumentsAndCutsBetweenCharacters) {
  const std::string accents = "\xc3\xa9";  // e acute
  std::string longest;
  for (int i = 0; i < 300; ++i) longest += accents;
  write_file(folder_ / "c.jsonl", "{\"text\": \"short\"}\n{\"text\": \"" + longest +
                                      "\"}\n{\"text\": \"" + std::string(1000, 'x') + "\"}\n");
  tokenise_corpus(folder_ / "c.jsonl", encode, {.vocabulary = "v", .max_tokens = 50}, path());
  const TokenCache cache(path());
  EXPECT_EQ(cache.end(0) - cache.begin(0), 5);
  const int64_t second = cache.end(1) - cache.begin(1), third = cache.end(2) - cache.begin(2);
  EXPECT_NEAR(static_cast<double>(second), (50 * 4.2 - 5) / 2, 3);
  EXPECT_NEAR(static_cast<double>(third), (50 * 4.2 - 5) / 2, 3);
  EXPECT_EQ(second % 2, 0);
  EXPECT_EQ(cache.read(cache.begin(1), 1)[0], 0xc3);
}

TEST_F(TokenCacheTest, JoinedCachesHaveTheirTokensInOtherDocuments) {
  const fs::path one = folder_ / "1.tokens", two = folder_ / "2.tokens";
  write_token_cache(one, "vocab", "1", {{1, 2, 3}, {4}});
  write_token_cache(two, "vocab", "2", {{5, 6}});
  join_token_caches(path(), "vocab", "both", {2, 6}, {one, two});
  const TokenCache cache(path());
  EXPECT_EQ(cache.source(), "both");
  EXPECT_EQ(cache.n_documents(), 2);
  EXPECT_EQ(cache.end(0), 2);
  EXPECT_EQ(cache.read(0, 6), (std::vector<int32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(cache.is_narrow());
  write_token_cache(two, "vocab", "2", {{5, 65536}});
  join_token_caches(path(), "vocab", "both", {6}, {one, two});
  EXPECT_EQ(TokenCache(path()).read(3, 3), (std::vector<int32_t>{4, 5, 65536}));
}

}  // namespace
}  // namespace dsrasq::train
