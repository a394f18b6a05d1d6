#include "dsrasq/text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::text {
namespace {

using nlohmann::json;

class BpeTrainerTest : public FolderTest {
 protected:
  // Trains and writes; what the file holds.
  json trained(const BpeTrainer& trainer, int64_t n_tokens) const {
    write_tokenizer(folder_, trainer.train(n_tokens));
    return json::parse(read_file(folder_ / "tokenizer.json"));
  }
};

TEST_F(BpeTrainerTest, FindsTheMergesThatHuggingFaceTokenizersFinds) {
  BpeTrainer trainer;
  std::string all;
  for (const char* text : {"tests/golden/models/carol.txt", "tests/golden/tokenizers/seeds.txt"}) {
    trainer.add(read_file(text));
    all += read_file(text);
  }
  const json ours = trained(trainer, 800);
  const json wanted = json::parse(read_file("tests/golden/tokenizers/trained.json"));
  EXPECT_EQ(ours["model"]["merges"].size(), 800 - 257);
  for (const char* part : {"model", "added_tokens", "pre_tokenizer"})
    EXPECT_EQ(ours[part], wanted[part]) << part;
  const auto read = load_tokenizer(folder_);
  EXPECT_EQ(read->encode(all), load_tokenizer("tests/golden/tokenizers/trained.json")->encode(all));
  EXPECT_EQ(read->vocab_size(), 800);
  EXPECT_EQ(read->eos(), 0);
  EXPECT_TRUE(read->is_special(0));
  EXPECT_FALSE(read->adds_bos());
}

TEST_F(BpeTrainerTest, ATextOfManyPartsHasTheWordsOfItsLines) {
  const auto copies = [](int n) {
    std::string text;
    for (int i = 0; i < n; ++i)
      text += "It was the best of times,\n\n  it was the worst of times \n and so\n";
    BpeTrainer trainer;
    trainer.add(text);
    return trainer.train(320);
  };
  // All counts in proportion, so that every tie is one in both.
  const BpeVocabulary few = copies(3), many = copies(50000);
  EXPECT_EQ(few.tokens, many.tokens);
  EXPECT_EQ(few.merges, many.merges);
  EXPECT_GT(few.merges.size(), 25u);
}

TEST_F(BpeTrainerTest, EndsWhenNothingIsLeftToMerge) {
  BpeTrainer trainer;
  trainer.add("aaaa aaaa");
  const BpeVocabulary vocabulary = trainer.train(1000);
  // aa, then aaaa, then the space before it.
  ASSERT_EQ(vocabulary.merges.size(), 3u);
  EXPECT_EQ(vocabulary.tokens[257], "aa");
  EXPECT_EQ(vocabulary.tokens[258], "aaaa");
  EXPECT_EQ(vocabulary.tokens[259].size(), 6u);
  EXPECT_TRUE(BpeTrainer().train(257).merges.empty());
}

TEST_F(BpeTrainerTest, TooFewTokensAreRefused) {
  EXPECT_HAS(error_text([] { BpeTrainer().train(256); }, ErrorCode::kInvalidArgument),
             "a vocabulary of 256 tokens: want at least 257");
}

}  // namespace
}  // namespace dsrasq::text
