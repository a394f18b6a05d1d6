#include "dsrasq/metrics/porter_stemmer.h"

#include <gtest/gtest.h>

namespace dsrasq::metrics {
namespace {

TEST(PorterStemmer, StripsThePapersExamples) {
  EXPECT_EQ(porter_stem("caresses"), "caress");
  EXPECT_EQ(porter_stem("hopping"), "hop");
  EXPECT_EQ(porter_stem("filing"), "file");
  EXPECT_EQ(porter_stem("relational"), "relat");
  EXPECT_EQ(porter_stem("generalizations"), "gener");
  EXPECT_EQ(porter_stem("controlling"), "control");
}

TEST(PorterStemmer, DiffersFromThePaperWhereNltkDoes) {
  EXPECT_EQ(porter_stem("enjoy"), "enjoy");
  EXPECT_EQ(porter_stem("dying"), "die");
  EXPECT_EQ(porter_stem("spied"), "spi");
  EXPECT_EQ(porter_stem("dies"), "die");
  EXPECT_EQ(porter_stem("really"), "realli");
}

TEST(PorterStemmer, VeryShortAndEmptyWordsStay) {
  EXPECT_EQ(porter_stem(""), "");
  EXPECT_EQ(porter_stem("s"), "s");
  EXPECT_EQ(porter_stem("is"), "is");
}

TEST(PorterStemmer, DigitsAreConsonants) { EXPECT_EQ(porter_stem("1990s"), "1990"); }

TEST(PorterStemmer, AWordOfAMillionLettersIsDoneAtOnce) {
  EXPECT_EQ(porter_stem(std::string(1000000, 'y')).size(), 1000000u);
}

}  // namespace
}  // namespace dsrasq::metrics
