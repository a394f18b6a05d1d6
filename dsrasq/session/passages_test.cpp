#include "dsrasq/session/passages.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dsrasq::session {
namespace {

constexpr int64_t kFirst = 3;  // tokens of a prompt before the text
constexpr int64_t kEnd = 10003;

// A text of 10,000 tokens of one byte each.
ReadText long_text() {
  ReadText text{"book.txt", std::string(10000, '.'), {}, kFirst};
  for (uint64_t i = 0; i < 10000; ++i) text.tokens.push_back({0, i, i + 1});
  return text;
}

std::vector<Passage> passages(const std::vector<policy::RetrievedToken>& retrieved,
                              const std::map<int64_t, float>& recall, int64_t n = 3) {
  const ReadText text = long_text();
  return find_passages(PassageRanking(retrieved, recall, kEnd), std::span(&text, 1),
                       {.n_passages = n, .passage_tokens = 96});
}

bool covers(const Passage& passage, uint64_t byte) {
  return passage.start <= byte && byte < passage.end;
}

TEST(Passages, TheOneReadMostComesFirstWithItsBytes) {
  const auto found =
      passages({{0, kFirst + 500, 1}, {0, kFirst + 510, 1}, {0, kFirst + 4000, 1}}, {});
  ASSERT_EQ(found.size(), 2u) << "nothing else was read";
  EXPECT_TRUE(covers(found[0], 500) && covers(found[0], 510));
  EXPECT_TRUE(covers(found[1], 4000));
  EXPECT_EQ(found[0].end - found[0].start, 96u);
  EXPECT_EQ(found[0].file, "book.txt");
  EXPECT_EQ(found[0].text, std::string(96, '.'));
  EXPECT_NEAR(found[0].weight + found[1].weight, 1, 1e-9);
}

TEST(Passages, ALayerThatRecallsOutweighsThoseThatReadWhatIsNear) {
  // Layer 0 reads near tokens with all its weight, layer 7 has little and goes back.
  const std::vector<policy::RetrievedToken> retrieved{
      {0, kFirst + 9000, 100}, {0, kFirst + 9100, 80}, {7, kFirst + 200, 0.2F}};
  EXPECT_TRUE(covers(passages(retrieved, {{0, 0.001F}, {7, 0.1F}})[0], 200));
  // A layer that was not measured does not count.
  EXPECT_EQ(passages(retrieved, {{7, 0.1F}}).size(), 1u);
}

TEST(Passages, WeightCountsByTheSquareRootOfItsDistance) {
  // Distances of 100 and 8,100 tokens: 9 times the weight for the farther.
  const auto weigh = [](float near, float far) {
    return PassageRanking({{0, kEnd - 100, near}, {0, kEnd - 8100, far}}, {}, kEnd);
  };
  const PassageRanking ranking = weigh(1, 1);
  EXPECT_NEAR(ranking.weight(kEnd - 8100) / ranking.weight(kEnd - 100), 9, 1e-6);
  const PassageRanking equal = weigh(9, 1);
  EXPECT_NEAR(equal.weight(kEnd - 8100), 0.5, 1e-6);
}

TEST(Passages, DoNotOverlapAndAreAsManyAsAsked) {
  std::vector<policy::RetrievedToken> retrieved;
  for (int64_t i = 0; i < 400; ++i) retrieved.push_back({0, kFirst + 2000 + i, 1});
  const auto found = passages(retrieved, {}, 4);
  ASSERT_EQ(found.size(), 4u);
  for (size_t i = 0; i < found.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_TRUE(found[i].end <= found[j].start || found[j].end <= found[i].start);
}

TEST(Passages, AShortTextIsOnePassageAndTokensOfThePromptAreNone) {
  ReadText text{"note", "abc", {{0, 0, 1}, {0, 1, 2}, {0, 2, 3}}, kFirst};
  const auto find = [&](int64_t position) {
    return find_passages(PassageRanking({{0, position, 1}}, {}, 100), std::span(&text, 1), {});
  };
  ASSERT_EQ(find(kFirst).size(), 1u);
  EXPECT_EQ(find(kFirst)[0].text, "abc");
  EXPECT_TRUE(find(0).empty());
  EXPECT_TRUE(PassageRanking({}, {}, 100).empty());
}

}  // namespace
}  // namespace dsrasq::session
