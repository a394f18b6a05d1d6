#include "dsrasq/data/time_stamp.h"

#include <gtest/gtest.h>

namespace dsrasq::data {
namespace {

std::string news(std::string_view text) {
  const auto time = parse_news_time(text);
  return !time ? "none" : iso_time(time->ms) + (time->is_whole ? "" : " (day)");
}

TEST(TimeStampTest, NewsHaveHundredthsOfASecond) {
  EXPECT_EQ(news("26-FEB-1987 15:01:01.79"), "1987-02-26T15:01:01.790");
  EXPECT_EQ(news(" 9-APR-1987 13:32:06.7"), "1987-04-09T13:32:06.700");
  EXPECT_EQ(news("3-MAR-1987  09:15:05.40"), "1987-03-03T09:15:05.400");
  EXPECT_EQ(news("27-MAR-1987 00:02:59.13&#5;&#5;&#5;RM"), "1987-03-27T00:02:59.130");
}

TEST(TimeStampTest, OfAClockThatCannotBeTheDayCounts) {
  EXPECT_EQ(news("31-MAR-1987 605:12:19.12"), "1987-03-31T00:00:00.000 (day)");
  EXPECT_EQ(news("1-JAN-1970"), "1970-01-01T00:00:00.000 (day)");
}

TEST(TimeStampTest, WhatIsNoDayIsNoTime) {
  for (const char* text : {"", "soon", "30-FEB-1987 15:01:01.79", "26-feb-1987 15:01:01.79",
                           "26-FEB-", "-1-FEB-1987 15:01:01.79"})
    EXPECT_EQ(news(text), "none") << text;
}

TEST(TimeStampTest, DigitsAreATimeToTheSecond) {
  const auto time = parse_digits_time("20150218230015");
  ASSERT_TRUE(time);
  EXPECT_EQ(iso_time(time->ms), "2015-02-18T23:00:15.000");
  for (const char* text : {"", "20150218", "20151318230015", "20150218250015", "2015021823001x"})
    EXPECT_FALSE(parse_digits_time(text)) << text;
}

TEST(TimeStampTest, TimesBeforeTheEpochCountDown) {
  EXPECT_EQ(iso_time(-1), "1969-12-31T23:59:59.999");
}

}  // namespace
}  // namespace dsrasq::data
