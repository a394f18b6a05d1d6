#include "dsrasq/sweep/plan.h"

#include "dsrasq/sweep/test_points.h"

namespace dsrasq::sweep {
namespace {

class PlanTest : public PointTest {
 protected:
  std::string refusal(const std::vector<Point>& points) const {
    return error_text([&] { settle_plan(folder_, points); }, ErrorCode::kInvalidArgument);
  }
};

TEST_F(PlanTest, TheSamePlanIsSettledAsOftenAsOneLikes) {
  const std::vector<Point> points{point("a", "true", "true"), point("b", "true", "true")};
  settle_plan(folder_, points);
  const std::string before = text("plan.json");
  settle_plan(folder_, points);
  EXPECT_EQ(text("plan.json"), before);
  EXPECT_HAS(before, "\"script\": \"true\"");
}

TEST_F(PlanTest, AnotherPlanIsRefusedByItsFirstDifference) {
  const std::vector<Point> points{point("a", "true", "true"), point("b", "true", "true")};
  settle_plan(folder_, points);
  std::vector<Point> other = points;
  other[1].options["first"]["seed"] = 1;
  EXPECT_HAS(refusal(other), "at point b, options, first, seed is 0 there and 1 now");
  other = points;
  other[0].options["first"]["more"] = true;
  EXPECT_HAS(refusal(other), "at point a, options, first, more is not said there");
  other = points;
  other[0].options["first"].erase("seed");
  EXPECT_HAS(refusal(other), "first, seed is said there only");
  other = points;
  other[1].name = "c";
  EXPECT_HAS(refusal(other), "its point 2 is b, not c");
  other.pop_back();
  EXPECT_HAS(refusal(other), "it has 2 points, not 1");
  EXPECT_HAS(refusal(other), "plan.json is the plan of another sweep");
}

TEST_F(PlanTest, WhatIsNoPlanIsNamed) {
  write("plan.json", "{\"rows\": []}");
  const auto settle = [&] { settle_plan(folder_, {point("a", "true", "true")}); };
  EXPECT_HAS(error_text(settle), "plan.json lacks \"points\"");
  write("plan.json", "plan");
  EXPECT_HAS(error_text(settle), "not JSON");
}

TEST_F(PlanTest, AFolderThatIsNotThereIsNoPlaceForIt) {
  EXPECT_HAS(error_text([&] { settle_plan(folder_ / "none", {point("a", "true", "true")}); },
                        ErrorCode::kOutput),
             "plan.json");
}

}  // namespace
}  // namespace dsrasq::sweep
