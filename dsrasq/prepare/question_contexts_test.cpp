#include "dsrasq/prepare/question_contexts.h"

#include "dsrasq/prepare/test_units.h"

namespace dsrasq::prepare {
namespace {

using data::TaskDocument;
using data::TaskFormat;
using data::TaskSample;

// A question with one gold passage and one that is not, both of 20 bytes or so.
TaskSample question(int number, TaskFormat format = TaskFormat::kHotpotQa) {
  const std::string n = std::to_string(number);
  return {
      .format = format,
      .task = "t",
      .id = n,
      .documents = {{"Other " + n, "nothing of use " + n}, {"Gold " + n, "the word is " + n, true}},
      .question = "Which word?",
      .references = {n, "number " + n}};
}

std::vector<TaskSample> questions(int n, TaskFormat format = TaskFormat::kHotpotQa) {
  std::vector<TaskSample> samples;
  for (int i = 0; i < n; ++i) samples.push_back(question(i, format));
  return samples;
}

std::string refusal(std::vector<TaskSample> samples, const QuestionOptions& options,
                    ErrorCode code = ErrorCode::kBadInput) {
  try {
    QuestionContexts(std::move(samples), {byte_spans, 0}, options).make(0);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  return "no throw";
}

std::string part(const QuestionText& text, train::TokenRange range) {
  return text_of({text.ids.begin() + range.begin, text.ids.begin() + range.end});
}

TEST(QuestionContextsTest, WithoutALengthTheContextIsTheDatas) {
  const QuestionContexts contexts(questions(2), {byte_spans, 7}, {.seed = 1});
  const QuestionText text = contexts.make(1);
  const data::PromptText prompt =
      data::prompt_text(data::task_prompt(TaskFormat::kHotpotQa), contexts.sample(1));
  EXPECT_EQ(part(text, {0, text.answer.begin}), prompt.text);
  EXPECT_EQ(part(text, text.question), "Question: Which word?\nAnswer:");
  EXPECT_EQ(part(text, text.answer), " " + text.said.text + '\7');
  ASSERT_EQ(text.gold.size(), 1u);
  EXPECT_EQ(part(text, text.gold[0]), "Passage 2: Gold 1\nthe word is 1\n\n");
  EXPECT_EQ(text.gold_titles, std::vector<std::string>{"Gold 1"});
  EXPECT_EQ(text.n_passages, 2);
}

TEST(QuestionContextsTest, ContextsGrowToTheLengthAndKeepTheirGold) {
  constexpr int64_t kLength = 2000, kLongest = 45;
  const QuestionContexts contexts(questions(100), {byte_spans, 0}, {.length = kLength, .seed = 1});
  for (const size_t i : {0, 50, 99}) {
    const QuestionText text = contexts.make(i);
    const auto n = static_cast<int64_t>(text.ids.size());
    EXPECT_LE(n, kLength);
    EXPECT_GE(n, kLength - kLongest);
    ASSERT_EQ(text.gold.size(), 1u);
    const std::string gold = part(text, text.gold[0]), number = std::to_string(i);
    EXPECT_TRUE(gold.ends_with(": Gold " + number + "\nthe word is " + number + "\n\n")) << gold;
    const std::string all = text_of(text.ids);
    for (int other = 0; other < 100; ++other) {  // no passage twice
      const std::string words = "\nthe word is " + std::to_string(other) + "\n";
      const size_t at = all.find(words);
      EXPECT_TRUE(at == std::string::npos || all.find(words, at + 1) == std::string::npos) << words;
    }
    EXPECT_NE(all.find("nothing of use " + number + "\n"), std::string::npos);
    EXPECT_GT(text.n_passages, 40);
  }
}

TEST(QuestionContextsTest, AContextIsAFunctionOfSeedAndSample) {
  const auto make = [](uint64_t seed, size_t index) {
    return QuestionContexts(questions(50), {byte_spans, 0}, {.length = 1000, .seed = seed})
        .make(index)
        .ids;
  };
  EXPECT_EQ(make(1, 7), make(1, 7));
  EXPECT_NE(make(1, 7), make(2, 7));
}

TEST(QuestionContextsTest, PassagesOfAGoldTitleAreNoDistractors) {
  std::vector<TaskSample> samples = questions(30);
  for (TaskSample& sample : samples) sample.documents[0].title = "Gold 0";
  const std::string all =
      text_of(QuestionContexts(samples, {byte_spans, 0}, {.length = 700}).make(0).ids);
  EXPECT_NE(all.find("nothing of use 0\n"), std::string::npos);  // its own stays
  for (int i = 1; i < 30; ++i)
    EXPECT_EQ(all.find("nothing of use " + std::to_string(i)), std::string::npos);
}

TEST(QuestionContextsTest, OwnDistractorsGoWhereTheyDoNotFit) {
  const QuestionContexts contexts(questions(9), {byte_spans, 0}, {.length = 140});
  const QuestionText text = contexts.make(3);
  EXPECT_LE(text.ids.size(), 140u);
  EXPECT_EQ(text.n_passages, 1);
  EXPECT_EQ(text.gold.size(), 1u);
}

TEST(QuestionContextsTest, ASingleMultiRcPassageBecomesOneOfMany) {
  std::vector<TaskSample> samples;
  for (int i = 0; i < 40; ++i)
    samples.push_back({.format = TaskFormat::kMultiRc,
                       .task = "t",
                       .id = std::to_string(i),
                       .documents = {{"", "passage text " + std::to_string(i)}},
                       .question = "Q?",
                       .options = {{" ", true}, {"blue", i == 0}}});
  const QuestionText text = QuestionContexts(samples, {byte_spans, 0}, {.length = 600}).make(0);
  EXPECT_TRUE(part(text, text.gold.at(0)).ends_with("\npassage text 0\n\n"));
  EXPECT_EQ(text.said.option, "blue");
  EXPECT_EQ(part(text, text.answer), std::string(" yes\0", 5));
}

TEST(QuestionContextsTest, WhatCannotBeBuiltIsRefused) {
  EXPECT_NE(
      refusal(questions(3), {.length = 4000}).find("the data's 6 different passages have about"),
      std::string::npos);
  EXPECT_NE(refusal(questions(30), {.length = 100})
                .find("sample t/0: its gold passages, question and answer have"),
            std::string::npos);
  std::vector<TaskSample> samples = questions(30);
  for (TaskSample& sample : samples) sample.documents[1].title = "Gold";
  EXPECT_NE(refusal(samples, {.length = 2000}).find("sample t/0: the data has passages for "),
            std::string::npos);
  EXPECT_NE(refusal(questions(30, TaskFormat::kBabi), {.length = 100}, ErrorCode::kInvalidArgument)
                .find("contexts of babi data cannot be grown"),
            std::string::npos);
}

TEST(QuestionContextsTest, MissingGoldIsRefusedWhereItIsNeeded) {
  std::vector<TaskSample> samples = questions(2);
  samples[0].documents[1].is_supporting = false;
  EXPECT_NE(refusal(samples, {.needs_gold = true})
                .find("sample t/0 has no gold passage: none of its 2 passages is marked"),
            std::string::npos);
  EXPECT_EQ(refusal(samples, {}), "no throw");
}

}  // namespace
}  // namespace dsrasq::prepare
