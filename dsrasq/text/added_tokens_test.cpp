#include "dsrasq/text/added_tokens.h"

#include <gtest/gtest.h>

namespace dsrasq::text {
namespace {

AddedToken token(int32_t id, std::string content) {
  AddedToken made;
  made.id = id;
  made.content = std::move(content);
  return made;
}

std::string split(std::vector<AddedToken> tokens, std::string_view text,
                  bool parse_special = true) {
  std::vector<std::string> contents;
  for (const AddedToken& one : tokens) contents.push_back(one.content);
  std::vector<AddedSplit> splits;
  AddedTokens(std::move(tokens), contents).split(text, false, parse_special, splits);
  std::string out;
  for (const AddedSplit& one : splits) {
    const auto part = text.substr(one.range.begin, one.range.end - one.range.begin);
    out += one.id < 0 ? std::string(part) + "|" : "[" + std::string(part) + "]";
  }
  return out;
}

TEST(AddedTokensTest, TheLeftmostThenLongestIsFound) {
  EXPECT_EQ(split({token(1, "ab"), token(2, "abc"), token(3, "bcd")}, "xabcdab"), "x|[abc]d|[ab]");
  EXPECT_EQ(split({token(1, "aa")}, "aaaaa"), "[aa][aa]a|");
  EXPECT_EQ(split({token(1, "abcx"), token(2, "b")}, "abcd"), "a|[b]cd|");
}

TEST(AddedTokensTest, SpecialTokensAreTextUnlessAskedFor) {
  AddedToken special = token(1, "<s>");
  special.is_special = true;
  EXPECT_EQ(split({special, token(2, "<u>")}, "<s>a<u>"), "[<s>]a|[<u>]");
  EXPECT_EQ(split({special, token(2, "<u>")}, "<s>a<u>", false), "<s>a|[<u>]");
}

TEST(AddedTokensTest, StrippingTokensTakeTheSpacesBesideThem) {
  AddedToken left = token(1, "<l>");
  left.strips_left = true;
  AddedToken right = token(2, "<r>");
  right.strips_right = true;
  EXPECT_EQ(split({left, right}, "a \n<l> b"), "a|[ \n<l>] b|");
  EXPECT_EQ(split({left, right}, "a <r>\xC2\xA0 b"), "a |[<r>\xC2\xA0 ]b|");
  EXPECT_EQ(split({left, right}, "<r>  <l>"), "[<r>  ][<l>]");
}

TEST(AddedTokensTest, SingleWordsStandAlone) {
  AddedToken word = token(1, "ab");
  word.single_word = true;
  EXPECT_EQ(split({word},
                  "ab abc xab (ab) \xC3\xA9"
                  "ab ab_ ab"),
            "[ab] abc xab (|[ab]) \xC3\xA9"
            "ab ab_ |[ab]");
}

}  // namespace
}  // namespace dsrasq::text
