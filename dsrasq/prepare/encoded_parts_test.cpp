#include "dsrasq/prepare/encoded_parts.h"

#include "dsrasq/core/parallel.h"
#include "dsrasq/prepare/test_units.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::prepare {
namespace {

namespace fs = std::filesystem;
using Ends = std::vector<int64_t>;

constexpr uint64_t kLarge = 1 << 30;  // a unit of it is a part by itself

class EncodedPartsTest : public data::FilesTest {
 protected:
  PartPlace place(const std::string& identity = "one") {
    fs::create_directories(folder_ / "parts");
    return {folder_ / "parts", identity, "vocabulary"};
  }
  std::string bytes(const char* name) { return read_file(folder_ / name); }

  JoinedParts join(const std::vector<EncodedPart>& parts, const UnitSource& units,
                   int64_t length = 0) {
    return join_parts(parts, units, place(),
                      {.tokens = folder_ / "data.tokens",
                       .rows = folder_ / "rows.jsonl",
                       .length = length,
                       .block = 4});
  }
};

TEST_F(EncodedPartsTest, DocumentsEndBeforeUnitsThatBeginOneAndAtTheLength) {
  const ByteUnits units({"#aaa", "bb", "#cc", "d"});
  EXPECT_EQ(document_ends({4, 2, 3, 1}, units, 0), (Ends{6, 10}));
  EXPECT_EQ(document_ends({4, 2, 3, 1}, units, 4), (Ends{4, 6, 10}));
  EXPECT_EQ(document_ends({4, 2, 3, 1}, units, 2), (Ends{2, 4, 6, 8, 10}));
  EXPECT_EQ(document_ends({}, units, 2), Ends{});
}

TEST_F(EncodedPartsTest, JoinedPartsHaveAllTokensAndTheirPlaces) {
  const ByteUnits units({"#aaa", "bb", "#cc"}, kLarge);
  const auto parts = encode_parts(units, place(), nullptr);
  EXPECT_EQ(parts.size(), 3u);
  const JoinedParts joined = join(parts, units, 4);
  EXPECT_EQ(joined.n_units, 3);
  EXPECT_EQ(joined.n_documents, 3);
  EXPECT_EQ(joined.n_tokens, 9);
  EXPECT_EQ(joined.n_blocks, 3);
  const train::TokenCache cache(folder_ / "data.tokens");
  EXPECT_EQ(text_of(cache.read(0, 9)), "#aaabb#cc");
  EXPECT_EQ(cache.end(0), 4);
  EXPECT_EQ(cache.vocabulary(), "vocabulary");
  EXPECT_EQ(bytes("rows.jsonl"),
            "{\"id\":\"#aaa\",\"document\":0,\"begin\":0,\"end\":4}\n"
            "{\"id\":\"bb\",\"document\":1,\"begin\":4,\"end\":6}\n"
            "{\"id\":\"#cc\",\"document\":2,\"begin\":6,\"end\":9}\n");
}

TEST_F(EncodedPartsTest, TheSameBytesForAnyNumberOfThreads) {
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i) texts.push_back("#" + std::to_string(i * i));
  const ByteUnits units(texts, kLarge);
  const int n_threads = num_threads();
  std::string tokens, rows;
  for (const int n : {1, 3}) {
    set_num_threads(n);
    fs::remove_all(folder_ / "parts");
    join(encode_parts(units, place(), nullptr), units);
    if (n == 1) tokens = bytes("data.tokens"), rows = bytes("rows.jsonl");
  }
  set_num_threads(n_threads);
  EXPECT_EQ(bytes("data.tokens"), tokens);
  EXPECT_EQ(bytes("rows.jsonl"), rows);
}

TEST_F(EncodedPartsTest, WholePartsOfTheSameAreNotMadeAgain) {
  const ByteUnits units({"#a", "#b", "#c"}, kLarge);
  std::vector<int64_t> done;
  const auto encode = [&](const std::string& identity) {
    units.n_encoded = 0;
    done.clear();
    encode_parts(units, place(identity), [&](int64_t n, int64_t) { done.push_back(n); });
    return units.n_encoded.load();
  };
  EXPECT_EQ(encode("one"), 3);
  EXPECT_EQ(done, (Ends{1, 2, 3}));
  EXPECT_EQ(encode("one"), 0);
  EXPECT_EQ(done, (Ends{1, 2, 3}));
  fs::remove(folder_ / "parts/1.tokens");
  EXPECT_EQ(encode("one"), 1);
  std::string damaged = bytes("parts/2.tokens");
  damaged[damaged.size() / 2] ^= 1;
  write("parts/2.tokens", damaged);
  EXPECT_EQ(encode("one"), 1);
  EXPECT_EQ(encode("two"), 3);
}

TEST_F(EncodedPartsTest, ShortTextsShareAPart) {
  const ByteUnits units({"#a", "#b", "#c"}, 2 << 20);
  const auto parts = encode_parts(units, place(), nullptr);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].end, 2u);
  EXPECT_EQ(parts[1].begin, 2u);
}

}  // namespace
}  // namespace dsrasq::prepare
