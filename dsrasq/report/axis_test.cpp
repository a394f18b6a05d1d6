#include "dsrasq/report/axis.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dsrasq::report {
namespace {

std::vector<std::string> texts(const Axis& axis) {
  std::vector<std::string> out;
  for (const double tick : axis.ticks) out.push_back(tick_text(axis, tick));
  return out;
}

using Texts = std::vector<std::string>;

TEST(AxisTest, VeryLargeAndSmallTicksAreShort) {
  EXPECT_EQ(texts(log_axis(1e12, 4e14, 4, Unit::kNumber)).back(), "1e14");
  EXPECT_EQ(tick_text(log_axis(1e4, 1e9, 4, Unit::kNumber), 2e7), "2e7");
  EXPECT_EQ(tick_text(log_axis(1e4, 1e9, 4, Unit::kNumber), 1e6), "1,000,000");
  EXPECT_EQ(tick_text(log_axis(1e4, 1e9, 4, Unit::kBytes), 32768), "32 KiB");
  EXPECT_EQ(tick_text(log_axis(1e4, 1e9, 4, Unit::kBytes), 4.0 * (int64_t{1} << 40)), "4 TiB");
}

TEST(AxisTest, LinearTicksAreRoundNumbers) {
  const Axis axis = linear_axis(0, 9.7, 6, Unit::kNumber);
  EXPECT_EQ(texts(axis), (Texts{"0", "2", "4", "6", "8", "10"}));
  EXPECT_EQ(axis.low, 0);
  EXPECT_EQ(axis.high, 10);
  EXPECT_EQ(texts(linear_axis(27.5, 27.9, 5, Unit::kNumber)),
            (Texts{"27.5", "27.6", "27.7", "27.8", "27.9"}));
}

TEST(AxisTest, TicksFarBeyondTheValuesAreLeftOut) {
  const Axis axis = linear_axis(-0.07, 10.2, 6, Unit::kPercent);
  EXPECT_EQ(texts(axis), (Texts{"0 %", "+5 %", "+10 %"}));
  EXPECT_LT(axis.low, -0.07);
  EXPECT_GT(axis.high, 10.2);
  EXPECT_GT(axis.low, -1);
}

TEST(AxisTest, EqualValuesGetRoom) {
  for (const double value : {0.0, 5.0, -3.0}) {
    const Axis axis = linear_axis(value, value, 5, Unit::kNumber);
    EXPECT_LT(axis.low, value);
    EXPECT_GT(axis.high, value);
    EXPECT_GE(axis.ticks.size(), 2u);
  }
}

TEST(AxisTest, ValuesThatDifferByRoundingAreEqual) {
  const double value = 27.568846576061567;
  const Axis axis = linear_axis(value, std::nextafter(value, 28), 5, Unit::kNumber);
  EXPECT_LT(axis.ticks.size(), 10u);
  EXPECT_GT(axis.high - axis.low, 1);
}

TEST(AxisTest, PlacesRunFromZeroToOne) {
  const Axis linear = linear_axis(0, 10, 6, Unit::kNumber);
  EXPECT_DOUBLE_EQ(linear.place(0), 0);
  EXPECT_DOUBLE_EQ(linear.place(2.5), 0.25);
  EXPECT_DOUBLE_EQ(linear.place(10), 1);
  const Axis log = log_axis(1, 10000, 6, Unit::kNumber);
  EXPECT_NEAR(log.place(100), 0.5, 1e-12);
  EXPECT_GT(log.place(1), 0);
  EXPECT_LT(log.place(10000), 1);
  EXPECT_NEAR(log.place(1000) - log.place(100), log.place(10) - log.place(1), 1e-12);
}

TEST(AxisTest, TokensAndBytesHavePowersOfTwo) {
  EXPECT_EQ(texts(log_axis(2048, 32768, 7, Unit::kTokens)),
            (Texts{"2,048", "4,096", "8,192", "16,384", "32,768"}));
  EXPECT_EQ(texts(log_axis(2048, 131072, 4, Unit::kTokens)), (Texts{"4,096", "16,384", "65,536"}));
  EXPECT_EQ(texts(log_axis(300e6, 1.5e9, 6, Unit::kBytes)), (Texts{"512 MiB", "1 GiB"}));
}

TEST(AxisTest, OtherLogarithmicAxesHaveOneTwoAndFive) {
  EXPECT_EQ(texts(log_axis(9, 110, 7, Unit::kNumber)), (Texts{"10", "20", "50", "100"}));
  EXPECT_EQ(texts(log_axis(1, 1e6, 4, Unit::kNumber)), (Texts{"1", "100", "10,000", "1,000,000"}));
}

TEST(AxisTest, SmallDifferencesDoNotLookLarge) {
  const Axis axis = log_axis(567e6, 569e6, 6, Unit::kBytes);
  EXPECT_GE(axis.high / axis.low, 4);
  EXPECT_LT(axis.place(569e6) - axis.place(567e6), 0.01);
}

TEST(AxisTest, SharesArePercent) {
  EXPECT_EQ(texts(linear_axis(0, 1, 6, Unit::kShare)),
            (Texts{"0 %", "20 %", "40 %", "60 %", "80 %", "100 %"}));
}

}  // namespace
}  // namespace dsrasq::report
