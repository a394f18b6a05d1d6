#include "dsrasq/prepare/block_vectors.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/checkpoint/test_model.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::prepare {
namespace {

// Of the tiny model with 10 tokens and 8 values: embedding e of token t is (8 t + e) / 1024, which
// is linear in t.
class BlockVectorsTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    const auto config = checkpoint::tiny_config(checkpoint::Architecture::kLlama);
    formats::TestGguf file = checkpoint::tiny_keys(config);
    write("model.gguf", checkpoint::add_tiny_tensors(file, config).build());
    model_ = checkpoint::Checkpoint::open(folder_ / "model.gguf");
  }
  BlockVectors vectors(const std::vector<std::vector<int32_t>>& documents, int64_t block) const {
    train::write_token_cache(folder_ / "tokens", "v", "s", documents);
    const train::TokenCache cache(folder_ / "tokens");
    return block_vectors(cache, train::text_blocks(cache, block), *model_, nullptr);
  }

  std::unique_ptr<checkpoint::Checkpoint> model_;
};

TEST_F(BlockVectorsTest, AreWeightedMeansLessTheMeanOfAll) {
  // Token 9 is everywhere and weighs nothing; the means are those of tokens 1, 2 and 6, and the
  // mean of all is that of token 3. All embeddings lie on a line, so what is left are its
  // directions.
  const BlockVectors found = vectors({{1, 9}, {9, 2, 2}, {6, 9, 9}}, 4);
  ASSERT_EQ(found.n, 3);
  ASSERT_EQ(found.dimensions, 8);
  for (int64_t e = 0; e < 8; ++e) {
    EXPECT_NEAR(found.row(0)[e], -1 / std::sqrt(8.0), 1e-5);
    EXPECT_NEAR(found.row(1)[e], -1 / std::sqrt(8.0), 1e-5);
    EXPECT_NEAR(found.row(2)[e], 1 / std::sqrt(8.0), 1e-5);
  }
  EXPECT_NEAR(similarity(found.row(0), found.row(1), 8), 1, 1e-5);
  EXPECT_NEAR(similarity(found.row(0), found.row(2), 8), -1, 1e-5);
}

TEST_F(BlockVectorsTest, RareTokensWeighMore) {
  // Block {1, 5}: 1 is in one of four blocks, 5 in three, so its mean is (a + 5 b) / (a + b) with
  // a = log(5 / 2), b = log(5 / 4); the others' are 5, 5 and 2.
  const BlockVectors found = vectors({{1, 5}, {5}, {5}, {2}}, 4);
  const double a = std::log(5.0 / 2), b = std::log(5.0 / 4);
  const double mean = ((a + 5 * b) / (a + b) + 5 + 5 + 2) / 4;
  EXPECT_LT((a + 5 * b) / (a + b), mean);
  EXPECT_LT(found.row(0)[0], 0);
  EXPECT_GT(found.row(1)[0], 0);
  EXPECT_LT(found.row(3)[0], 0);
}

TEST_F(BlockVectorsTest, EqualBlocksHaveNoDirection) {
  const BlockVectors found = vectors({{3, 4}, {3, 4}}, 4);
  for (const float value : found.values) EXPECT_EQ(value, 0);
}

TEST_F(BlockVectorsTest, AreTheSameForAnyNumberOfThreads) {
  std::vector<std::vector<int32_t>> documents(40);
  for (size_t d = 0; d < documents.size(); ++d)
    for (size_t i = 0; i < 50; ++i) documents[d].push_back(static_cast<int32_t>((d * i + d) % 10));
  set_num_threads(1);
  const BlockVectors one = vectors(documents, 7);
  set_num_threads(3);
  EXPECT_EQ(vectors(documents, 7).values, one.values);
}

TEST_F(BlockVectorsTest, ATokenThatTheModelLacksIsRefused) {
  EXPECT_HAS(error_text([&] { vectors({{1, 10}}, 4); }), "tokens: has token 10, the model only 10");
}

}  // namespace
}  // namespace dsrasq::prepare
