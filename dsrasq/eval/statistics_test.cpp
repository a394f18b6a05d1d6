#include "dsrasq/eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dsrasq::eval {
namespace {

TEST(Statistics, MedianOfAnEvenNumberIsTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median(std::vector<double>{5, 1, 3}), 3);
  EXPECT_EQ(median(std::vector<double>{5, 1, 3, 100}), 4);
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(mean(std::vector<double>{1, 2, 6}), 3);
  EXPECT_EQ(mean({}), 0);
}

// Worked out with the formula in Python.
TEST(Statistics, WilsonIntervalHasTheKnownEnds) {
  const Interval most = wilson(36, 40);
  EXPECT_NEAR(most.low, 0.7694822477, 1e-9);
  EXPECT_NEAR(most.high, 0.9604204713, 1e-9);
  const Interval none = wilson(0, 10), all = wilson(10, 10);
  EXPECT_NEAR(none.low, 0, 1e-12);
  EXPECT_NEAR(none.high, 0.2775327999, 1e-9);
  EXPECT_NEAR(all.low, 0.7224672001, 1e-9);
  EXPECT_NEAR(all.high, 1, 1e-12);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Statistics, FittedExponentIsThatOfAPowerLaw) {
  const std::vector<double> x{100, 300, 1000, 5000};
  std::vector<double> quadratic, constant;
  for (const double value : x) {
    quadratic.push_back(0.3 * value * value);
    constant.push_back(7);
  }
  EXPECT_NEAR(fitted_exponent(x, quadratic), 2, 1e-12);
  EXPECT_NEAR(fitted_exponent(x, constant), 0, 1e-12);
  // numpy.polyfit of the logarithms.
  EXPECT_NEAR(fitted_exponent(std::vector<double>{1000, 2000, 4000, 8000},
                              std::vector<double>{1.0, 2.1, 4.9, 11.0}),
              1.16006873, 1e-8);
}

TEST(Statistics, AFittedPowerHasStudentsInterval) {
  // The slope's standard error by hand, times 4.30265 for two degrees of freedom.
  const PowerFit fit = fitted_power(std::vector<double>{1000, 2000, 4000, 8000},
                                    std::vector<double>{1.0, 2.1, 4.9, 11.0});
  EXPECT_NEAR(fit.exponent, 1.16006873, 1e-8);
  EXPECT_NEAR(fit.interval.low, 1.06906, 1e-4);
  EXPECT_NEAR(fit.interval.high, 1.25108, 1e-4);
  EXPECT_TRUE(
      std::isnan(fitted_power(std::vector<double>{1, 2}, std::vector<double>{1, 2}).interval.low));
}

TEST(Statistics, ManyPointsHaveNearlyTheNormalInterval) {
  std::vector<double> x, y;
  for (int i = 0; i < 42; ++i) {  // 40 degrees of freedom: 2.02108 standard errors
    x.push_back(std::exp(i));
    y.push_back(std::exp(i % 2));
  }
  const PowerFit fit = fitted_power(x, y);
  // Of 0, 1, 0, 1, ... over 0 .. 41: sums of squares 10.5 and 6170.5, of products 10.5.
  const double slope = 10.5 / 6170.5;
  const double error = std::sqrt((10.5 - slope * 10.5) / 40 / 6170.5);
  EXPECT_NEAR(fit.exponent, slope, 1e-12);
  EXPECT_NEAR(fit.interval.high - fit.exponent, 2.02108 * error, 1e-5 * error * 100);
}

TEST(Statistics, NoExponentFitsOnePointOrAZero) {
  EXPECT_TRUE(std::isnan(fitted_exponent(std::vector<double>{5}, std::vector<double>{1})));
  EXPECT_TRUE(std::isnan(fitted_exponent(std::vector<double>{5, 5}, std::vector<double>{1, 2})));
  EXPECT_TRUE(std::isnan(fitted_exponent(std::vector<double>{5, 9}, std::vector<double>{0, 2})));
}

TEST(Statistics, BootstrapHoldsTheMeanAndIsTheSameEachTime) {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back(i % 10);  // mean 4.5, deviation 2.87
  const Interval interval = bootstrap_mean(values);
  EXPECT_NEAR(interval.low, 4.5 - 1.96 * 0.287, 0.06);
  EXPECT_NEAR(interval.high, 4.5 + 1.96 * 0.287, 0.06);
  EXPECT_EQ(interval.low, bootstrap_mean(values).low);
  const Interval single = bootstrap_mean(std::vector<double>{3.5});
  EXPECT_EQ(single.low, 3.5);
  EXPECT_EQ(single.high, 3.5);
}

}  // namespace
}  // namespace dsrasq::eval
