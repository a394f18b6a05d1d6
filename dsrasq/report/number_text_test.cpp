#include "dsrasq/report/number_text.h"

#include <gtest/gtest.h>

namespace dsrasq::report {
namespace {

TEST(NumberTextTest, ThousandsAreApart) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(98292), "98,292");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(fixed(1234.5, 2), "1,234.50");
}

TEST(NumberTextTest, SignsStay) {
  EXPECT_EQ(fixed(-0.5, 1), "-0.5");
  EXPECT_EQ(fixed(-1234.25, 1), "-1,234.2");
  EXPECT_EQ(fixed(-0.001, 1), "0.0");
  EXPECT_EQ(with_sign(0.879, 2), "+0.88");
  EXPECT_EQ(with_sign(-0.07, 2), "-0.07");
  EXPECT_EQ(with_sign(0.001, 2), "0.00");
}

TEST(NumberTextTest, ThreeDigitsSayEnough) {
  EXPECT_EQ(rounded(27.5688), "27.6");
  EXPECT_EQ(rounded(0.00123456), "0.00123");
  EXPECT_EQ(rounded(0.05), "0.05");
  EXPECT_EQ(rounded(98292), "98,300");
  EXPECT_EQ(rounded(512), "512");
  EXPECT_EQ(rounded(0), "0");
}

TEST(NumberTextTest, BytesAreMebibytes) {
  EXPECT_EQ(bytes_text(282107040), "269.0 MiB");
  EXPECT_EQ(bytes_text(2048), "2.0 KiB");
}

}  // namespace
}  // namespace dsrasq::report
