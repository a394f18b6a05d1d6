#include "dsrasq/eval/task_prompt.h"

#include <gtest/gtest.h>

#include <span>

#include "dsrasq/eval/task_rules.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using data::PromptText;
using data::TaskFormat;
using data::TaskSample;

std::string text_of(TaskKind kind, const TaskSample& sample, std::string_view option = "") {
  return prompt_text(task_rules(kind, sample).prompt, sample, option).text;
}

TaskSample hotpot() {
  return {.format = TaskFormat::kHotpotQa,
          .documents = {{"Ann", "Ann is {question}."}, {"", "Bo sings.", true}},
          .question = "Who sings {option}?"};
}

TEST(TaskPrompt, DocumentsComeBeforeTheQuestionAndAreNotLookedInto) {
  const TaskSample sample = hotpot();
  const PromptText prompt = prompt_text(task_rules(TaskKind::kQa, sample).prompt, sample);
  EXPECT_EQ(prompt.text,
            "Read the passages and answer the question in a few words.\n\n"
            "Passage 1: Ann\nAnn is {question}.\n\nPassage 2\nBo sings.\n\n"
            "Question: Who sings {option}?\nAnswer:");
  ASSERT_EQ(prompt.supporting.size(), 1u);
  EXPECT_EQ(prompt.text.substr(prompt.supporting[0].begin,
                               prompt.supporting[0].end - prompt.supporting[0].begin),
            "Passage 2\nBo sings.\n\n");
  EXPECT_TRUE(prompt.text.substr(prompt.question_at).starts_with("Question:"));
}

TEST(TaskPrompt, EveryFormatHasItsWording) {
  EXPECT_EQ(
      text_of(TaskKind::kQa,
              {.format = TaskFormat::kMultiRc, .documents = {{"", "T."}}, .question = "Q?"}, "yes"),
      "Read the passage.\n\nT.\n\nQuestion: Q?\nAnswer: yes\nIs this answer right, yes or "
      "no?");
  EXPECT_EQ(text_of(TaskKind::kTranslation, {.format = TaskFormat::kParallel,
                                             .documents = {{"", "Hi."}},
                                             .from_language = "en",
                                             .to_language = "de"}),
            "English: Hi.\nGerman:");
  EXPECT_EQ(text_of(TaskKind::kSummarization, {.format = TaskFormat::kQmsum,
                                               .documents = {{"A", "Hi ."}, {"B", "Bye ."}},
                                               .question = "What?"}),
            "Read the transcript of a meeting.\n\nA: Hi .\nB: Bye .\n\nQuery: What?\nAnswer:");
  EXPECT_EQ(
      text_of(TaskKind::kRuler,
              {.format = TaskFormat::kRuler, .documents = {{"", "in"}}, .answer_start = " It is"}),
      "in It is");
  EXPECT_EQ(text_of(TaskKind::kRuler, {.format = TaskFormat::kKeyValue,
                                       .documents = {{"k\"", "v"}, {"l", "w"}},
                                       .question = "l"}),
            "Find the value of a key in the JSON data.\n\n{\"k\\\"\": \"v\",\n \"l\": \"w\"}\n\n"
            "Key: \"l\"\nValue:");
  EXPECT_EQ(text_of(TaskKind::kBabi, {.format = TaskFormat::kBabi,
                                      .documents = {{"", "A."}, {"", "B."}},
                                      .question = "W?"}),
            "Read the story and answer the question in one word.\n\nA.\nB.\n\nQuestion: W?\n"
            "Answer:");
  EXPECT_EQ(text_of(TaskKind::kLongBench, {.format = TaskFormat::kLongBench,
                                           .task = "trec",
                                           .documents = {{"", "C"}},
                                           .question = "Q"}),
            "Please determine the type of the question below. Here are some examples of "
            "questions.\n\nC\nQ");
}

TEST(TaskPrompt, WhatACommandCannotDoIsSaid) {
  const auto refusal = [](TaskKind kind, const TaskSample& sample) {
    return error_text([&] { text_of(kind, sample); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_HAS(refusal(TaskKind::kBabi, {.format = TaskFormat::kSquad, .task = "dev"}),
             "eval babi does not do squad data (dev)");
  EXPECT_HAS(refusal(TaskKind::kQa, {.format = TaskFormat::kLongBench, .task = "lcc"}),
             "\"lcc\" cannot be scored here");
  EXPECT_HAS(refusal(TaskKind::kTranslation,
                     {.format = TaskFormat::kParallel, .from_language = "en", .to_language = "gz"}),
             "no language is known by \"gz\"");
}

TEST(TaskPrompt, AnswersAreCleaned) {
  EXPECT_EQ(cleaned_answer({.first_line = true}, "\n Rome. \nQuestion: x"), "Rome.");
  EXPECT_EQ(cleaned_answer({.first_line = false}, "\n a\nb \n"), "a\nb");
  EXPECT_EQ(cleaned_answer({.first_line = true}, " \n "), "");
  EXPECT_EQ(cleaned_answer({}, ""), "");
}

class PromptTokensTest : public testing::Test {
 protected:
  PromptTokens encode(const PromptText& prompt, const PromptOptions& options = {}) const {
    return PromptEncoder(*tokenizer_, options).encode(prompt);
  }
  std::string text(const std::vector<int32_t>& ids) const { return tokenizer_->decode(ids, false); }

  std::unique_ptr<text::Tokenizer> tokenizer_ = text::load_tokenizer("tests/golden/models/text");
  const TaskSample sample_ = hotpot();
  const PromptText prompt_ = prompt_text(task_rules(TaskKind::kQa, sample_).prompt, sample_);
};

TEST_F(PromptTokensTest, KnowWhereDocumentsEndAndWhichSupport) {
  const PromptTokens tokens = encode(prompt_);
  EXPECT_EQ(text(tokens.ids), prompt_.text);
  ASSERT_EQ(tokens.is_supporting.size(), tokens.ids.size());
  std::vector<int32_t> supporting;
  for (size_t i = 0; i < tokens.ids.size(); ++i)
    if (tokens.is_supporting[i]) supporting.push_back(tokens.ids[i]);
  EXPECT_HAS("Passage 2\nBo sings.\n\n", text(supporting).substr(0, 15));
  const std::span<const int32_t> ids(tokens.ids);
  EXPECT_TRUE(tokenizer_->decode(ids.first(tokens.question_at), false).ends_with("Bo sings.\n\n"));
}

TEST_F(PromptTokensTest, OfALongPromptTheMiddleIsLeftOut) {
  const PromptTokens whole = encode(prompt_), cut = encode(prompt_, {.max_context = 21});
  ASSERT_EQ(cut.ids.size(), 21u);
  EXPECT_TRUE(std::equal(cut.ids.begin(), cut.ids.begin() + 11, whole.ids.begin()));
  EXPECT_TRUE(std::equal(cut.ids.end() - 10, cut.ids.end(), whole.ids.end() - 10));
  EXPECT_LE(cut.question_at, cut.ids.size());
  EXPECT_EQ(encode(prompt_, {.max_context = 100000}).ids, whole.ids);
  EXPECT_HAS(error_text([&] { encode(prompt_, {.max_context = 1}); }, ErrorCode::kInvalidArgument),
             "max-context is 1 tokens");
}

TEST_F(PromptTokensTest, ChatIsAroundTheMessageAndItsWordsAreNoSpecialTokens) {
  PromptText prompt{"say <|endoftext|> now"};
  prompt.question_at = 4;
  const PromptTokens tokens = encode(prompt, {.chat = true});
  EXPECT_EQ(std::count(tokens.ids.begin(), tokens.ids.end(), 0), 1);  // the template's own
  EXPECT_EQ(tokens.ids.front(), 0);
  const std::string shown = text(tokens.ids);
  EXPECT_HAS(shown, "User: say <|endoftext|> now");
  EXPECT_TRUE(shown.ends_with("Assistant:")) << shown;
  EXPECT_GT(tokens.question_at, 1u);
  EXPECT_EQ(tokens.is_supporting.size(), tokens.ids.size());
}

}  // namespace
}  // namespace dsrasq::eval
