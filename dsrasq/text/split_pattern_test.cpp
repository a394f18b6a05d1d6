#include "dsrasq/text/split_pattern.h"

#include <gtest/gtest.h>

#include "dsrasq/text/golden_text.h"
#include "dsrasq/text/regex.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

using MatchEnd = uint32_t (*)(std::string_view, uint32_t);
struct Pattern {
  const char* name;
  std::string_view regex;
  MatchEnd match_end;
};
std::ostream& operator<<(std::ostream& out, const Pattern& p) { return out << p.name; }

std::vector<std::string> words_by_hand(const Pattern& pattern, std::string_view text) {
  std::vector<std::string> words;
  for (uint32_t at = 0; at < text.size();) {
    const uint32_t end = pattern.match_end(text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

class SplitPatternTest : public testing::TestWithParam<Pattern> {
 protected:
  static std::vector<std::string> words_by_regex(std::string_view text) {
    std::vector<Match> matches;
    Regex(GetParam().regex).find_all(text, 0, matches);
    std::vector<std::string> words;
    for (const Match& match : matches) {
      EXPECT_TRUE(match.is_match);
      words.emplace_back(text.substr(match.range.begin, match.range.end - match.range.begin));
    }
    return words;
  }
};

TEST_P(SplitPatternTest, TheHandWrittenFormMatchesLikeTheRegularExpression) {
  for (uint64_t chunk = 100; chunk < 108; ++chunk) {
    std::string text;
    append_repaired(text, golden_chunk(chunk), false);
    ASSERT_EQ(words_by_hand(GetParam(), text), words_by_regex(text)) << "chunk " << chunk;
  }
}

// All texts of up to six of the characters that the patterns tell apart.
TEST_P(SplitPatternTest, ShortTextsToo) {
  const std::vector<std::string> parts = {"a", "5", " ",  "\n",       "'",
                                          "s", ".", "\t", "\xC3\xA9", "L"};
  GoldenRng rng(1);
  for (int i = 0; i < 30000; ++i) {
    std::string text;
    for (uint64_t n = rng.below(7); n > 0; --n) text += rng.one_of(parts);
    ASSERT_EQ(words_by_hand(GetParam(), text), words_by_regex(text)) << '"' << text << '"';
  }
}

INSTANTIATE_TEST_SUITE_P(All, SplitPatternTest,
                         testing::Values(Pattern{"gpt2", kGpt2Pattern, gpt2_match_end},
                                         Pattern{"llama3", kLlama3Pattern,
                                                 [](std::string_view text, uint32_t at) {
                                                   return llama3_match_end(text, at, 3);
                                                 }},
                                         Pattern{"qwen2", kQwen2Pattern,
                                                 [](std::string_view text, uint32_t at) {
                                                   return llama3_match_end(text, at, 1);
                                                 }}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dsrasq::text
