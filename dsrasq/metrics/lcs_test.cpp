#include "dsrasq/metrics/lcs.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"

namespace dsrasq::metrics {
namespace {

using Tokens = std::vector<int32_t>;
using Places = std::vector<size_t>;

TEST(Lcs, TokensMayLieApart) {
  EXPECT_EQ(lcs_length(Tokens{1, 2, 3, 4, 5}, Tokens{9, 2, 8, 4, 7}), 2);
  EXPECT_EQ(lcs_places(Tokens{1, 2, 3, 4, 5}, Tokens{9, 2, 8, 4, 7}, LcsTie::kDropFirst),
            (Places{1, 3}));
}

TEST(Lcs, AnEmptySideHasNothingInCommon) {
  EXPECT_EQ(lcs_length(Tokens{}, Tokens{1}), 0);
  EXPECT_EQ(lcs_length(Tokens{1}, Tokens{}), 0);
  EXPECT_TRUE(lcs_places(Tokens{1}, Tokens{}, LcsTie::kDropFirst).empty());
  EXPECT_TRUE(lcs_places(Tokens{}, Tokens{}, LcsTie::kDropSecond).empty());
}

TEST(Lcs, TheTieSaysWhichOfTwoIsRead) {
  EXPECT_EQ(lcs_places(Tokens{1, 2}, Tokens{2, 1}, LcsTie::kDropFirst), (Places{0}));
  EXPECT_EQ(lcs_places(Tokens{1, 2}, Tokens{2, 1}, LcsTie::kDropSecond), (Places{1}));
}

TEST(Lcs, ATableThatDoesNotFitIsRefusedWithBothLengths) {
  const Tokens many(50000, 1);
  try {
    (void)lcs_places(many, many, LcsTie::kDropFirst);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kResourceExhausted);
    EXPECT_STREQ(e.what(),
                 "[metrics.lcs] a sentence of 50000 words cannot be compared with one of 50000: "
                 "split the text into shorter sentences");
  }
}

}  // namespace
}  // namespace dsrasq::metrics
