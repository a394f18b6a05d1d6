#include "dsrasq/eval/sample_means.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

TEST(SampleMeans, HaveAnInterval) {
  Json row;
  add_mean(row, "f", {{0, 0.25}, {7, 0.75}});
  EXPECT_EQ(row, (Json{{"f", 0.5}, {"f_interval", {0.25, 0.75}}}));
}

TEST(SampleMeans, AreComparedOverTheSamplesThatBothHave) {
  Json row;
  add_difference(row, "f", {{0, 1.5}, {1, 2.5}, {2, 99}}, {{1, 2}, {0, 1}, {3, -99}});
  EXPECT_EQ(row, (Json{{"f_difference", 0.5}, {"f_difference_interval", {0.5, 0.5}}}));
  Json none;
  add_difference(none, "f", {{0, 1}}, {{1, 1}});
  EXPECT_TRUE(none.is_null());
}

}  // namespace
}  // namespace dsrasq::eval
