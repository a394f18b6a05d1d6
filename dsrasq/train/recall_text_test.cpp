#include "dsrasq/train/recall_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace dsrasq::train {
namespace {

std::vector<int32_t> encode(std::string_view text) {
  std::vector<int32_t> ids;
  for (char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

std::string decode(const std::vector<int32_t>& ids) {
  std::string text;
  for (int32_t id : ids) text += static_cast<char>(id < 256 ? id : '#');
  return text;
}

TEST(RecallText, AFactsStatementHoldsTheAnswerWordForWord) {
  for (uint64_t step = 0; step < 200; ++step) {
    CounterRng rng(1, step, 0);
    const Fact fact = random_fact(rng);
    EXPECT_NE(fact.statement.find(fact.answer), std::string::npos) << fact.statement;
    EXPECT_EQ(fact.question.find(fact.answer), std::string::npos) << fact.question;
    EXPECT_GT(fact.answer.size(), 3u);
  }
}

TEST(RecallText, NeverUsesSevenDigitNumbersOrTheWordingOfNeedleBenchmarks) {
  for (uint64_t step = 0; step < 500; ++step) {
    CounterRng rng(2, step, 0);
    const Fact fact = random_fact(rng);
    const std::string text = fact.statement + " " + fact.question + " " + fact.answer + " ";
    EXPECT_EQ(text.find("magic"), std::string::npos);
    EXPECT_EQ(text.find("special"), std::string::npos);
    size_t run = 0;
    for (char c : text) {
      if (std::isdigit(static_cast<unsigned char>(c))) {
        ++run;
        continue;
      }
      EXPECT_NE(run, 7u) << text;
      run = 0;
    }
  }
}

TEST(RecallText, KeepsTheLengthAndAsksFarFromTheStatement) {
  constexpr size_t kTokens = 6000;
  std::vector<int32_t> text(kTokens);
  for (size_t i = 0; i < kTokens; ++i) text[i] = 1000 + static_cast<int32_t>(i);
  const RecallOptions options{.facts = 5, .echoes = 0, .min_distance = 600};
  CounterRng rng(3, 0, 0);
  const RecallStretch stretch = plant_recall(text, encode, options, rng);
  ASSERT_EQ(stretch.ids.size(), kTokens);
  ASSERT_FALSE(stretch.focus.empty());
  EXPECT_TRUE(std::is_sorted(stretch.focus.begin(), stretch.focus.end()));
  const std::string all = decode(stretch.ids);
  // Runs of focus: the tail of a question, then the answer but for its last token.
  for (size_t i = 0; i < stretch.focus.size();) {
    size_t end = i + 1;
    while (end < stretch.focus.size() && stretch.focus[end] == stretch.focus[end - 1] + 1) ++end;
    const auto first = static_cast<size_t>(stretch.focus[i]) + 4;
    const std::string answer = all.substr(first, end - i - 4 + 1);
    const auto said = std::find(stretch.answer.begin(), stretch.answer.end(), first);
    ASSERT_LE(answer.size(), static_cast<size_t>(stretch.answer.end() - said));
    EXPECT_EQ(said[static_cast<std::ptrdiff_t>(answer.size()) - 1],
              static_cast<int64_t>(first + answer.size()) - 1);
    const size_t stated = all.find(answer);
    EXPECT_LE(stated + 500, first) << answer;
    ASSERT_EQ(stretch.sources.size(), stretch.focus.size());
    const TokenRange source = stretch.sources[i];
    EXPECT_TRUE(source.begin <= static_cast<int64_t>(stated) &&
                static_cast<int64_t>(stated + answer.size()) <= source.end)
        << answer;
    i = end;
  }
  // The rest is the text, in order.
  std::vector<int32_t> left;
  std::copy_if(stretch.ids.begin(), stretch.ids.end(), std::back_inserter(left),
               [](int32_t id) { return id >= 1000; });
  EXPECT_TRUE(std::equal(left.begin(), left.end(), text.begin()));
}

TEST(RecallText, AnEchoRepeatsAnOlderPassage) {
  std::vector<int32_t> text(4000);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<int32_t>(i);
  CounterRng rng(4, 0, 0);
  const RecallStretch stretch =
      plant_recall(text, encode, {.facts = 0, .echoes = 3, .min_distance = 500}, rng);
  ASSERT_EQ(stretch.ids.size(), text.size());
  ASSERT_FALSE(stretch.focus.empty());
  ASSERT_EQ(stretch.sources.size(), stretch.focus.size());
  for (size_t f = 0; f < stretch.focus.size(); ++f) {
    const int64_t i = stretch.focus[f];
    const int32_t id = stretch.ids[static_cast<size_t>(i)];
    const auto first = std::find(stretch.ids.begin(), stretch.ids.end(), id) - stretch.ids.begin();
    EXPECT_GE(i - first, 500);
    EXPECT_TRUE(stretch.sources[f].begin <= first && first < stretch.sources[f].end);
    EXPECT_EQ(stretch.ids[static_cast<size_t>(i) + 1], id + 1);
    EXPECT_EQ(stretch.answer[f], i + 1);
  }
  EXPECT_EQ(stretch.answer.size(), stretch.focus.size());
}

TEST(RecallText, IsAFunctionOfItsNumbers) {
  std::vector<int32_t> text(3000, 7);
  CounterRng a(5, 9, 1), b(5, 9, 1), c(5, 10, 1);
  const RecallOptions options{.facts = 3, .echoes = 1, .min_distance = 500};
  const RecallStretch first = plant_recall(text, encode, options, a);
  EXPECT_EQ(first.ids, plant_recall(text, encode, options, b).ids);
  EXPECT_NE(first.ids, plant_recall(text, encode, options, c).ids);
}

TEST(RecallText, ATextTooShortComesBackAsItIs) {
  CounterRng rng(6, 0, 0);
  const std::vector<int32_t> text(100, 1);
  const RecallStretch stretch = plant_recall(text, encode, {}, rng);
  EXPECT_EQ(stretch.ids, text);
  EXPECT_TRUE(stretch.focus.empty());
  EXPECT_TRUE(stretch.answer.empty());
}

}  // namespace
}  // namespace dsrasq::train
