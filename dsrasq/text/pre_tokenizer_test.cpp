#include "dsrasq/text/pre_tokenizer.h"

#include <gtest/gtest.h>

namespace dsrasq::text {
namespace {

std::string words_of(std::vector<PreTokenizerStep> steps, std::string_view source,
                     PreTokenizer::Place place = {true, false}) {
  PreTokenizer pre_tokenizer;
  pre_tokenizer.steps = std::move(steps);
  AlignedText text;
  text.assign(source);
  std::vector<ByteRange> words;
  pre_tokenizer.apply(text, place, words);
  std::string out;
  for (const ByteRange word : words)
    out += std::string(text.text().substr(word.begin, word.end - word.begin)) + "|";
  return out;
}

std::string split(SplitBehavior behavior, bool invert = false) {
  std::vector<PreTokenizerStep> steps;
  steps.emplace_back(Split{Literal{"-"}, behavior, invert});
  return words_of(std::move(steps), "the-final--count-");
}

// The example of the documentation of `tokenizers`, with a match at the end.
TEST(PreTokenizerTest, EachBehaviorTreatsMatchesInItsWay) {
  EXPECT_EQ(split(SplitBehavior::kRemoved), "the|final|count|");
  EXPECT_EQ(split(SplitBehavior::kIsolated), "the|-|final|-|-|count|-|");
  EXPECT_EQ(split(SplitBehavior::kMergedWithPrevious), "the-|final-|-|count-|");
  EXPECT_EQ(split(SplitBehavior::kMergedWithNext), "the|-final|-|-count|-|");
  EXPECT_EQ(split(SplitBehavior::kContiguous), "the|-|final|--|count|-|");
  EXPECT_EQ(split(SplitBehavior::kRemoved, true), "-|-|-|-|");
}

TEST(PreTokenizerTest, MetaspacePrependsByItsScheme) {
  const auto meta = [](Metaspace::Prepend prepend, std::string_view text, bool first) {
    std::vector<PreTokenizerStep> steps;
    steps.emplace_back(Metaspace{"_", prepend, true});
    return words_of(std::move(steps), text, {first, false});
  };
  EXPECT_EQ(meta(Metaspace::Prepend::kAlways, "a b", false), "_a|_b|");
  EXPECT_EQ(meta(Metaspace::Prepend::kAlways, " a", false), "_a|");
  EXPECT_EQ(meta(Metaspace::Prepend::kFirst, "a b", false), "a|_b|");
  EXPECT_EQ(meta(Metaspace::Prepend::kFirst, "a b", true), "_a|_b|");
  EXPECT_EQ(meta(Metaspace::Prepend::kNever, "a  b", true), "a|_|_b|");
}

TEST(PreTokenizerTest, StepsWorkOnTheWordsOfTheStepBefore) {
  std::vector<PreTokenizerStep> steps;
  steps.emplace_back(Split{NumericChars{}, SplitBehavior::kIsolated, false});
  steps.emplace_back(PrefixSpace{});
  EXPECT_EQ(words_of(std::move(steps), "a12 b"), " a| 1| 2| b|");
}

}  // namespace
}  // namespace dsrasq::text
