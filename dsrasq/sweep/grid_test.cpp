#include "dsrasq/sweep/grid.h"

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::sweep {
namespace {

TEST(GridTest, EveryValueMeetsEveryOther) {
  const auto points = grid_points({{"topk", "k", {64, 128}}, {"beta", "beta", {0.9, 0.99, 0.999}}});
  ASSERT_EQ(points.size(), 6u);
  EXPECT_EQ(points[0].name, "k64-beta0.9");
  EXPECT_EQ(points[1].name, "k64-beta0.99");
  EXPECT_EQ(points[5].name, "k128-beta0.999");
  EXPECT_EQ(points[5].values, (Json{{"topk", 128}, {"beta", 0.999}}));
}

TEST(GridTest, NamesAreShortAndTellPointsApart) {
  const auto points =
      grid_points({{"lambda-ret", "ret", {0.00006, 0.0}}, {"lambda-comp", "", {0.0}}});
  EXPECT_EQ(points[0].name, "ret6e-05");
  EXPECT_EQ(points[1].name, "ret0");
  EXPECT_EQ(points[1].values["lambda-comp"], 0);
}

TEST(GridTest, ListsWithoutAValueOrWithOneTwiceAreNone) {
  const auto text = [](std::vector<Json> values) {
    return error_text(
        [&] {
          grid_points({{"beta", "b", std::move(values)}});
        },
        ErrorCode::kInvalidArgument);
  };
  EXPECT_HAS(text({}), "--beta has no value");
  EXPECT_HAS(text({0.9, 0.99, 0.9}), "--beta holds 0.9 twice");
}

}  // namespace
}  // namespace dsrasq::sweep
