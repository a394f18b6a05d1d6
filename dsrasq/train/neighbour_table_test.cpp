#include "dsrasq/train/neighbour_table.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::train {
namespace {

class NeighbourTableTest : public FolderTest {
 protected:
  static TokenCache cache(const std::string& name,
                          const std::vector<std::vector<int32_t>>& documents) {
    write_token_cache(name, "letters", "test", documents);
    return TokenCache(name);
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  void write_index(const BlockIndexFacts& facts, const std::vector<Neighbour>& neighbours) const {
    write_neighbour_table(path("index"), facts, neighbours, std::as_bytes(std::span("FAISS", 5)));
  }
  std::string refused() const {
    return error_text([&] { const NeighbourTable table(path("index")); });
  }
  static BlockIndexFacts facts() {
    return {.kind = "flat",
            .embedding = "mean",
            .model = "m",
            .text = {.n_tokens = 9, .n_documents = 2, .fingerprint = "t"},
            .block = 4,
            .n_blocks = 2,
            .dimensions = 3,
            .n_neighbours = 2,
            .max_similarity = 0.9};
  }
};

TEST_F(NeighbourTableTest, BlocksLieWithinDocumentsAndTheLastMayBeShorter) {
  const TokenCache tokens = cache(path("a"), {{1, 2, 3, 4, 5}, {}, {6, 7}});
  std::vector<std::array<int64_t, 3>> found;
  for (const TextBlock& block : text_blocks(tokens, 2))
    found.push_back({block.document, block.begin, block.end});
  EXPECT_EQ(found,
            (std::vector<std::array<int64_t, 3>>{{0, 0, 2}, {0, 2, 4}, {0, 4, 5}, {2, 5, 7}}));
}

TEST_F(NeighbourTableTest, TextsAreTheSameByTheirTokensAndDocumentsWhereverTheyAre) {
  const TokenCache tokens = cache(path("a"), {{1, 2, 3}, {4}});
  const TextIdentity identity = identify(tokens);
  EXPECT_EQ(identity.n_tokens, 4);
  EXPECT_EQ(identity.n_documents, 2);
  EXPECT_EQ(identify(cache(path("b"), {{1, 2, 3}, {4}})).fingerprint, identity.fingerprint);
  EXPECT_NE(identify(cache(path("c"), {{1, 2, 3}, {5}})).fingerprint, identity.fingerprint);
  EXPECT_NE(identify(cache(path("d"), {{1, 2}, {3, 4}})).fingerprint, identity.fingerprint);
}

TEST_F(NeighbourTableTest, ComesBackAsItWasWritten) {
  write_index(facts(), {{1, 0.5F}, {-1, 0}, {0, 0.5F}, {1, 0.25F}});
  const NeighbourTable table(path("index"));
  EXPECT_EQ(table.facts().kind, "flat");
  EXPECT_EQ(table.facts().embedding, "mean");
  EXPECT_EQ(table.facts().model, "m");
  EXPECT_EQ(table.facts().text.n_tokens, 9);
  EXPECT_EQ(table.facts().dimensions, 3);
  EXPECT_EQ(table.facts().max_similarity, 0.9);
  ASSERT_EQ(table.of(0).size(), 1u);  // the padding is none
  EXPECT_EQ(table.of(0)[0].block, 1);
  ASSERT_EQ(table.of(1).size(), 2u);
  EXPECT_EQ(table.of(1)[1].similarity, 0.25F);
  EXPECT_EQ(table.vector_index().size(), 5u);
}

TEST_F(NeighbourTableTest, AnIndexOfOtherDataIsRefusedNamingBoth) {
  const TokenCache tokens = cache(path("a"), {{1, 2, 3, 4, 5}, {6, 7, 8, 9}});
  BlockIndexFacts mine = facts();
  mine.text = identify(tokens);
  const std::vector<Neighbour> none(4);
  write_index(mine, none);
  NeighbourTable(path("index")).check_is_of(tokens);
  const TokenCache other = cache(path("b"), {{1, 2, 3, 4, 5}, {6, 7, 8, 1}});
  const std::string what = error_text([&] { NeighbourTable(path("index")).check_is_of(other); });
  EXPECT_HAS(what,
             "index: an index of other data (9 tokens in 2 documents, " + mine.text.fingerprint);
  EXPECT_HAS(what, path("b"));
}

TEST_F(NeighbourTableTest, CutOffOrDamagedFilesAreRefusedByName) {
  write_index(facts(), {{1, 0.5F}, {-1, 0}, {0, 0.5F}, {1, 0.25F}});
  const std::string good = read_file(path("index"));
  for (size_t n = 0; n < good.size(); n += 7) {
    write("index", std::string_view(good).substr(0, n));
    EXPECT_HAS(refused(), path("index"));
  }
  for (size_t at = 0; at < good.size(); at += 11) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    write("index", bad);
    EXPECT_HAS(refused(), path("index"));
  }
}

TEST_F(NeighbourTableTest, NamesAndSizesThatCannotBeAreRefused) {
  write_index(facts(), {{2, 0.5F}, {-1, 0}, {0, 0.5F}, {1, 0.25F}});
  EXPECT_HAS(refused(), "names block 2 of 2");
  write_index(facts(), {{1, 0.5F}});
  EXPECT_HAS(refused(), "has 8 bytes, want 2 rows of 2 neighbours");
  BlockIndexFacts huge = facts();
  huge.n_blocks = int64_t{1} << 62;
  huge.n_neighbours = 4;
  write_index(huge, {});
  EXPECT_HAS(refused(), "\"neighbours\" has 0 bytes");
  huge.block = 0;
  write_index(huge, {});
  EXPECT_HAS(refused(), "\"facts\" has a size that is none");
}

}  // namespace
}  // namespace dsrasq::train
