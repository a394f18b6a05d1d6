#include "dsrasq/eval/attention_rag.h"

#include <gtest/gtest.h>

namespace dsrasq::eval {
namespace {

TEST(AttentionRag, SentencesEndWithMarksAndLines) {
  const std::string text = "One. Two! Three?\nFour five\nsix";
  EXPECT_EQ(sentences_with(text, {1}), "One.");
  EXPECT_EQ(sentences_with(text, {0, 3, 10, 10}), "One. Three?");
  EXPECT_EQ(sentences_with(text, {8, 29}), " Two!six");
  EXPECT_EQ(sentences_with(text, {16}), "\n");
  EXPECT_EQ(sentences_with(text, {}), "");
  EXPECT_EQ(sentences_with("", {0}), "");
}

TEST(AttentionRag, QuestionsForYesOrNoBeginWithAVerb) {
  for (const char* question : {"Is it so?", " did he go?", "Were the two the same?", "Can he"})
    EXPECT_TRUE(asks_yes_or_no(question)) << question;
  for (const char* question : {"Who is it?", "In which year?", "Island or sea?", "", "Canada?"})
    EXPECT_FALSE(asks_yes_or_no(question)) << question;
}

class Pruning : public testing::Test {
 protected:
  const session::Engine engine_{{.model = "tests/golden/models/text", .adapter = "none"}};
  const ContextPruner pruner_{engine_};
};

TEST_F(Pruning, KeepsSentencesOfTheContextInTheirOrder) {
  std::string context;
  for (int i = 0; i < 150; ++i) context += "Sentence " + std::to_string(1000 + i) + " is here. ";
  const ContextPruner::Pruned pruned = pruner_.prune(context, "Which sentence is it?");
  EXPECT_GT(pruned.cache_bytes, 0);
  EXPECT_FALSE(pruned.context.empty());
  EXPECT_LT(pruned.context.size(), context.size());
  EXPECT_EQ(pruner_.prune(context, "Which sentence is it?").context, pruned.context);
  // Its numbers ascend: nothing is there twice or out of order.
  int last = 0, n_seen = 0;
  for (size_t at = 0; (at = pruned.context.find("Sentence 1", at)) != std::string::npos; ++at) {
    const int number = std::stoi(pruned.context.substr(at + 9, 4));
    EXPECT_GT(number, last);
    last = number;
    ++n_seen;
  }
  const auto n_tokens = static_cast<int64_t>(engine_.tokenizer().encode(context).size());
  const int64_t n_chunks =
      (n_tokens + ContextPruner::kChunkTokens - 1) / ContextPruner::kChunkTokens;
  ASSERT_GT(n_chunks, 2);
  EXPECT_GT(n_seen, 0);
  EXPECT_LE(n_seen, n_chunks * ContextPruner::kTopTokens);
}

TEST_F(Pruning, NothingOfNothing) {
  EXPECT_EQ(pruner_.prune("", "Who?").context, "");
  EXPECT_EQ(pruner_.answer_start("Is it?"), "");
}

}  // namespace
}  // namespace dsrasq::eval
