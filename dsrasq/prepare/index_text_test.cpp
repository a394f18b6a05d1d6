#include "dsrasq/prepare/index_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/checkpoint/test_model.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/prepare/vector_index.h"
#include "dsrasq/train/neighbour_table.h"

namespace dsrasq::prepare {
namespace {

class IndexTextTest : public FolderTest {
 protected:
  void SetUp() override {
    if (!has_vector_index()) GTEST_SKIP() << "built without FAISS";
    FolderTest::SetUp();
    const auto config = checkpoint::tiny_config(checkpoint::Architecture::kLlama);
    formats::TestGguf file = checkpoint::tiny_keys(config);
    write("model.gguf", checkpoint::add_tiny_tensors(file, config).build());
    model_ = checkpoint::Checkpoint::open(folder_ / "model.gguf");
    write_tokens("data.tokens", 1);
  }
  void write_tokens(const char* name, int32_t step) const {
    std::vector<std::vector<int32_t>> documents(6);
    for (int32_t d = 0; d < 6; ++d)
      for (int32_t i = 0; i < 90; ++i)
        documents[static_cast<size_t>(d)].push_back((d + i * i / (5 + d) * step) % 10);
    train::write_token_cache(folder_ / name, "v", "s", documents);
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  IndexOptions options(const std::string& kind = "flat") const {
    return {.input = folder_.string(),
            .output = path("x.index"),
            .kind = kind,
            .block = 8,
            .neighbours = 3,
            .max_similarity = 1};
  }
  nlohmann::ordered_json index(const IndexOptions& options) const {
    return index_text(options, {*model_, "v"},
                      [&](const char* phase, int64_t, int64_t) { phases_.insert(phase); });
  }
  std::string refused(const IndexOptions& options, ErrorCode code = ErrorCode::kBadInput) const {
    return error_text([&] { index(options); }, code);
  }

  std::unique_ptr<checkpoint::Checkpoint> model_;
  mutable std::set<std::string> phases_;
};

TEST_F(IndexTextTest, WritesNeighboursAndLabelsOfOtherDocuments) {
  for (const char* kind : {"flat", "ivf", "hnsw"}) {
    IndexOptions wanted = options(kind);
    wanted.output = path(kind);
    wanted.labels = path("labels.jsonl");
    const auto result = index(wanted);
    EXPECT_EQ(result["blocks"], 72);  // 6 documents of 90 tokens
    EXPECT_EQ(result["kind"], kind);
    EXPECT_GT(result["recall_at_10"], 0.5) << kind;
    const train::NeighbourTable table(wanted.output);
    EXPECT_EQ(table.facts().kind, kind);
    const train::TokenCache cache(folder_ / "data.tokens");
    table.check_is_of(cache);
    const auto blocks = train::text_blocks(cache, 8);
    std::istringstream lines(read_file(wanted.labels));
    std::string line;
    for (size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_TRUE(std::getline(lines, line));
      const auto label = nlohmann::json::parse(line);
      EXPECT_EQ(label["begin"], blocks[i].begin);
      EXPECT_EQ(label["end"], blocks[i].end);
      const auto row = table.of(static_cast<int64_t>(i));
      ASSERT_EQ(label["neighbours"].size(), row.size());
      for (size_t j = 0; j < row.size(); ++j) {
        const auto other = static_cast<size_t>(row[j].block);
        EXPECT_EQ(label["neighbours"][j]["block"], other);
        EXPECT_EQ(label["neighbours"][j]["similarity"], row[j].similarity);
        EXPECT_NE(blocks[other].document, blocks[i].document);
        EXPECT_LE(row[j].similarity, row[j == 0 ? 0 : j - 1].similarity);
      }
    }
    EXPECT_FALSE(std::getline(lines, line));
  }
}

TEST_F(IndexTextTest, TheSameBytesComeOutAgain) {
  for (const char* kind : {"flat", "ivf", "hnsw"}) {
    std::set<std::string> bytes;
    for (const char* name : {"a", "b"}) {
      IndexOptions wanted = options(kind);
      wanted.output = path(name);
      index(wanted);
      bytes.insert(read_file(path(name)));
      std::filesystem::remove(path(name));
    }
    EXPECT_EQ(bytes.size(), 1u) << kind;
  }
}

TEST_F(IndexTextTest, WhatIsThereIsUsedAgain) {
  index(options("hnsw"));
  const std::string first = read_file(path("x.index"));
  phases_.clear();
  index(options("hnsw"));
  EXPECT_EQ(phases_, (std::set<std::string>{"embedding"}));  // nothing was searched
  EXPECT_EQ(read_file(path("x.index")), first);
  IndexOptions more = options("hnsw");
  more.neighbours = 5;
  index(more);
  EXPECT_EQ(phases_, (std::set<std::string>{"embedding", "searching"}));
  const train::NeighbourTable table(path("x.index"));
  EXPECT_EQ(table.of(0).size(), 5u);
  more.output = path("new.index");
  index(more);
  EXPECT_EQ(read_file(path("new.index")), read_file(path("x.index")));
}

TEST_F(IndexTextTest, AnIndexOfOtherDataOrOptionsIsRefusedAndStays) {
  index(options());
  const std::string before = read_file(path("x.index"));
  EXPECT_HAS(refused(options("ivf"), ErrorCode::kInvalidArgument),
             "is there, with --kind flat and not ivf");
  IndexOptions other = options();
  other.block = 9;
  EXPECT_HAS(refused(other, ErrorCode::kInvalidArgument), "with --block 8 and not 9");
  write_tokens("other.tokens", 3);
  other = options();
  other.input = path("other.tokens");
  EXPECT_HAS(refused(other), "x.index: an index of other data");
  EXPECT_EQ(read_file(path("x.index")), before);
  write("x.index", before.substr(0, before.size() / 2));
  EXPECT_HAS(refused(options()), "x.index");
}

TEST_F(IndexTextTest, DataThatHasNoNeighboursIsRefused) {
  IndexOptions wrong = options();
  train::write_token_cache(folder_ / "one.tokens", "v", "s", {{1, 2, 3}});
  wrong.input = path("one.tokens");
  EXPECT_HAS(refused(wrong), "one.tokens: 1 document; neighbours are blocks of other documents");
  wrong.input = path("model.gguf");
  EXPECT_HAS(refused(wrong), "model.gguf: no token file");
  wrong.input = path("none");
  EXPECT_HAS(refused(wrong), "none: there is no such file");
  train::write_token_cache(folder_ / "words.tokens", "words", "s", {{1}, {2}});
  wrong.input = path("words.tokens");
  EXPECT_HAS(refused(wrong), "tokens of another vocabulary (words, the model's is v)");
  wrong = options();
  wrong.neighbours = 0;
  EXPECT_HAS(refused(wrong, ErrorCode::kInvalidArgument), "--neighbours is 0");
  wrong = options();
  wrong.labels = wrong.output;
  EXPECT_HAS(refused(wrong, ErrorCode::kInvalidArgument), "name the same file");
  wrong = options();
  wrong.output = path("none/x.index");
  EXPECT_HAS(refused(wrong, ErrorCode::kOutput), "none/x.index");
  EXPECT_FALSE(std::filesystem::exists(path("x.index")));
}

}  // namespace
}  // namespace dsrasq::prepare
