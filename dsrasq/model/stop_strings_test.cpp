#include "dsrasq/model/stop_strings.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"

namespace dsrasq::model {
namespace {

TEST(StopMatcherTest, HoldsBackWhatCouldBecomeAStopString) {
  StopMatcher matcher({"\nUser:"});
  EXPECT_EQ(matcher.feed("Hello\nUs"), "Hello");
  EXPECT_EQ(matcher.feed("age\n"), "\nUsage");
  EXPECT_EQ(matcher.feed("User"), "");
  EXPECT_EQ(matcher.feed(": next"), "");
  ASSERT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.match(), "\nUser:");
  EXPECT_EQ(matcher.feed("more"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcherTest, FinishGivesBackWhatWasHeld) {
  StopMatcher matcher({"<end>"});
  EXPECT_EQ(matcher.feed("a<en"), "a");
  EXPECT_EQ(matcher.finish(), "<en");
  EXPECT_FALSE(matcher.matched());
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcherTest, WithoutStopStringsEverythingPasses) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.feed("anything"), "anything");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcherTest, OfTwoThatEndTogetherTheLongerWins) {
  StopMatcher matcher({"b", "ab"});
  EXPECT_EQ(matcher.feed("xab"), "x");
  EXPECT_EQ(matcher.match(), "ab");
}

TEST(StopMatcherTest, EmptyStopStringIsRefused) {
  try {
    StopMatcher matcher({"a", ""});
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(e.what()).find("stop string is empty"), std::string::npos);
  }
}

TEST(StopMatcherTest, ResultDoesNotDependOnHowTheTextWasCut) {
  const std::vector<std::vector<std::string>> stop_sets = {
      {"aab"}, {"abcd", "bc"}, {"aaaa", "ab"}, {"ba", "aba"}, {"zz"}};
  const std::string text = "aaabacabcdbaabzaab";
  for (const auto& stops : stop_sets) {
    StopMatcher whole(stops);
    std::string want = whole.feed(text);
    want += whole.finish();
    for (size_t cut = 1; cut <= text.size(); ++cut) {
      StopMatcher matcher(stops);
      std::string got;
      for (size_t at = 0; at < text.size(); at += cut) got += matcher.feed(text.substr(at, cut));
      got += matcher.finish();
      EXPECT_EQ(got, want) << stops[0] << " in pieces of " << cut;
      EXPECT_EQ(matcher.matched(), whole.matched());
    }
  }
}

}  // namespace
}  // namespace dsrasq::model
