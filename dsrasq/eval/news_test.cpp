#include "dsrasq/eval/news.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

// Three stories on each of four days, a pause between the second and the third.
std::vector<data::Story> test_stories() {
  std::vector<data::Story> stories;
  for (const int64_t day : {10, 11, 13, 14})
    for (int i = 0; i < 3; ++i) {
      const std::string name = concat("S", day, char('a' + i));
      stories.push_back({.id = name,
                         .time = "",
                         .title = name + "  TITLE",
                         .text = name + " says\nit rains again today.",
                         .day = day});
    }
  return stories;
}

NewsOptions test_options() {
  NewsOptions options;
  options.ages = {0, 1, 3};
  options.samples = 2;
  options.opening = 3;
  options.from = "1970-01-11";
  return options;
}

std::vector<std::string> asked(const StreamStep& step) {
  std::vector<std::string> ids;
  for (const StreamQuestion& question : step.questions)
    ids.push_back(question.sample.task + " " + question.sample.id);
  return ids;
}

using List = std::vector<std::string>;

TEST(News, EveryDayIsReadAndThenAskedAbout) {
  const Stream stream = news_stream(test_stories(), test_options());
  ASSERT_EQ(stream.size(), 4u);
  EXPECT_EQ(stream[0].text.substr(0, 65),
            "S10a TITLE\nS10a says it rains again today.\n\nS10b TITLE\nS10b says it");
  EXPECT_EQ(asked(stream[0]), (List{"age 0 S10a", "age 0 S10b"}));
  EXPECT_EQ(asked(stream[1]), (List{"age 0 S11a", "age 0 S11b", "age 1 S10a", "age 1 S10b"}));
  // Day 12 has no stories, so on day 13 nothing is of the day before; day 10 is 3 days old.
  EXPECT_EQ(asked(stream[2]), (List{"age 0 S13a", "age 0 S13b", "age 3 S10a", "age 3 S10b"}));
  const StreamQuestion& question = stream[1].questions[2];
  EXPECT_EQ(question.sample.question, "S10a says it");
  EXPECT_EQ(question.sample.references, List{"S10a TITLE"});
  EXPECT_EQ(question.prompt, "The headline of the story that begins \"S10a says it\" was:");
  EXPECT_TRUE(question.alone.empty());
  EXPECT_TRUE(stream[1].reply.empty());
}

TEST(News, WhatIsReadIsLimited) {
  NewsOptions options = test_options();
  options.from = "1970-01-12";
  options.days = 2;
  options.stories = 1;
  const Stream stream = news_stream(test_stories(), options);
  ASSERT_EQ(stream.size(), 2u);
  EXPECT_EQ(asked(stream[0]), List{"age 0 S11a"});
  EXPECT_EQ(stream[1].text, "S13a TITLE\nS13a says it rains again today.\n\n");
}

TEST(News, OnlyWhatOneStoryCanBeMeantByIsAsked) {
  std::vector<data::Story> stories = test_stories();
  stories[1].text = stories[3].text;     // two begin in the same way
  stories[2].text = "Three words only";  // nothing behind what is quoted
  const Stream stream = news_stream(stories, test_options());
  EXPECT_EQ(asked(stream[0]), List{"age 0 S10a"});
  EXPECT_EQ(asked(stream[1]), (List{"age 0 S11b", "age 0 S11c", "age 1 S10a"}));
}

TEST(News, WrongOptionsAreRefused) {
  const auto refusal = [](const NewsOptions& options) {
    return error_text([&] { news_stream(test_stories(), options); }, ErrorCode::kInvalidArgument);
  };
  NewsOptions options = test_options();
  options.from = "1980-01-01";
  EXPECT_HAS(refusal(options), "no story is from 1980-01-01 or later");
  options = test_options();
  options.ages = {9};
  EXPECT_HAS(refusal(options), "of 12 stories none can be asked about");
  options.ages = {1, 1};
  EXPECT_HAS(refusal(options), "age 1 is there twice");
  options.ages = {-1};
  EXPECT_HAS(refusal(options), "ages is -1, want 0 or more");
  options = test_options();
  options.samples = 0;
  EXPECT_HAS(refusal(options), "samples is 0");
}

}  // namespace
}  // namespace dsrasq::eval
