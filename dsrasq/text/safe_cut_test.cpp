#include "dsrasq/text/safe_cut.h"

#include <gtest/gtest.h>

namespace dsrasq::text {
namespace {

TokenizerSpec gpt2() {
  TokenizerSpec spec;
  spec.bpe.is_byte_level = true;
  spec.pre_tokenizer.steps.emplace_back(Split{Gpt2Words{}});
  return spec;
}

std::string cuts(const TokenizerSpec& spec, std::string_view text,
                 const std::vector<AddedToken>& added = {}) {
  std::vector<std::string> contents;
  for (const AddedToken& token : added) contents.push_back(token.content);
  const SafeCut cut(spec, added, contents);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = cut.first(text, at + 1);
    out += std::string(text.substr(at, end - at)) + "|";
    at = end;
  }
  return out;
}

TEST(SafeCutTest, CutsStandBetweenWordsAndBetweenLines) {
  EXPECT_EQ(cuts(gpt2(), "ab cd  e. f"), "ab| cd|  e. f|");
  EXPECT_EQ(cuts(gpt2(), "1 2\n3\n\n4\n 5\r\n6"), "1 2\n|3\n\n4\n 5\r\n6|");
  EXPECT_EQ(cuts(gpt2(), "\xE3\x80\x82\n\xE4\xB8\xAD\xE3\x80\x80\n\xE4\xB8\xAD"),
            "\xE3\x80\x82\n|\xE4\xB8\xAD\xE3\x80\x80\n\xE4\xB8\xAD|");
  EXPECT_EQ(cuts(gpt2(), "\xFF\n1\n\xFF"), "\xFF\n1\n\xFF|");
}

TEST(SafeCutTest, TheLastPlaceIsOneOfTheFirstOnes) {
  const SafeCut cut(gpt2(), {}, {});
  EXPECT_EQ(cut.last("ab cd e", 0), 5u);
  EXPECT_EQ(cut.last("ab cd e", 6), 0u);
  EXPECT_EQ(cut.last("abc", 0), 0u);
  EXPECT_EQ(cut.last("", 0), 0u);
}

TEST(SafeCutTest, TokensThatCrossAPlaceForbidIt) {
  AddedToken token;
  token.content = "b c";
  EXPECT_EQ(cuts(gpt2(), "ab cd\ne", {token}), "ab cd\n|e|");
  token.content = "\nx";
  EXPECT_EQ(cuts(gpt2(), "ab cd\ne", {token}), "ab| cd\ne|");
  token.content = "x";
  token.strips_left = true;
  EXPECT_EQ(cuts(gpt2(), "ab cd\ne", {token}), "ab cd\ne|");
}

TEST(SafeCutTest, UnknownPatternsAndVocabulariesForbidIt) {
  TokenizerSpec spec = gpt2();
  spec.pre_tokenizer.steps.emplace_back(Split{Regex("x")});
  EXPECT_EQ(cuts(spec, "ab cd\ne"), "ab cd\ne|");
  TokenizerSpec pieces;
  EXPECT_EQ(cuts(pieces, "ab cd\ne"), "ab| cd\n|e|");
  ASSERT_TRUE(pieces.bpe.vocab.add("b\xE2\x96\x81", 0));
  EXPECT_EQ(cuts(pieces, "ab cd\ne"), "ab cd\n|e|");
  pieces.bpe.fuses_unknown = true;
  EXPECT_EQ(cuts(pieces, "ab cd\ne"), "ab cd\ne|");
}

}  // namespace
}  // namespace dsrasq::text
