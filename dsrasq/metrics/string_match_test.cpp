#include "dsrasq/metrics/string_match.h"

#include <gtest/gtest.h>

#include <vector>

namespace dsrasq::metrics {
namespace {

using Texts = std::vector<std::string>;

TEST(StringMatch, AllIsTheShareThatIsThere) {
  EXPECT_DOUBLE_EQ(string_match_all("They are 12 and 345.", Texts{"12", "345", "6", "7"}), 0.5);
}

TEST(StringMatch, PartNeedsOne) {
  EXPECT_TRUE(string_match_part("in PARIS, of course", Texts{"London", "Paris"}));
  EXPECT_FALSE(string_match_part("in Rome", Texts{"London", "Paris"}));
}

TEST(StringMatch, AReferenceMayStandInsideAWord) {
  EXPECT_TRUE(string_match_part("concatenate", Texts{"CAT"}));
}

TEST(StringMatch, ControlCharactersAreLineEnds) {
  EXPECT_TRUE(string_match_part("a\tb", Texts{"a\nb"}));
  EXPECT_FALSE(string_match_part("a\tb", Texts{"a\tb"}));
  EXPECT_FALSE(string_match_part(std::string("a\0", 2), Texts{"a\n"}));
}

TEST(StringMatch, WithoutReferencesNothingMatches) {
  EXPECT_EQ(string_match_all("a", Texts{}), 0);
  EXPECT_FALSE(string_match_part("a", Texts{}));
}

}  // namespace
}  // namespace dsrasq::metrics
