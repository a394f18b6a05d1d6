#include "dsrasq/eval/stretches.h"

#include <gtest/gtest.h>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Places = std::vector<std::pair<size_t, int64_t>>;

TEST(PlaceStretches, EachLongTextGivesOneFromItsThirdOn) {
  // Two thirds of 150 are not longer than 100.
  EXPECT_EQ(place_stretches({3000, 150, 600, 153}, 100, 3), (Places{{0, 1000}, {2, 200}, {3, 51}}));
  EXPECT_EQ(place_stretches({3000, 150, 600, 153}, 100, 2), (Places{{0, 1000}, {2, 200}}));
}

TEST(PlaceStretches, OneTextIsCutAtEqualDistances) {
  EXPECT_EQ(place_stretches({1000}, 100, 1), (Places{{0, 333}}));
  EXPECT_EQ(place_stretches({1000}, 100, 3), (Places{{0, 0}, {0, 450}, {0, 900}}));
  EXPECT_EQ(place_stretches({1000}, 100, 10).back(), (std::pair<size_t, int64_t>{0, 900}));
}

TEST(PlaceStretches, FewTextsShareTheSamplesAsFarAsTheyReach) {
  EXPECT_EQ(place_stretches({100, 1000, 99}, 100, 3), (Places{{0, 0}, {1, 0}, {1, 900}}));
}

TEST(PlaceStretches, SaysHowManyWouldFit) {
  EXPECT_HAS(error_text(
                 [] {
                   return place_stretches({250, 99}, 100, 3);
                 },
                 ErrorCode::kInvalidArgument),
             "the texts hold 2 stretches of 100 tokens that do not overlap, want 3");
  EXPECT_HAS(error_text([] { return place_stretches({250}, 1, 3); }, ErrorCode::kInvalidArgument),
             "length is 1");
  EXPECT_HAS(error_text([] { return place_stretches({250}, 10, 0); }, ErrorCode::kInvalidArgument),
             "samples is 0");
}

class ReadStretches : public FolderTest {};

TEST_F(ReadStretches, StretchIsThatPartOfTheWholeTextsTokens) {
  const auto tokenizer = text::load_tokenizer("tests/golden/models/text");
  const std::string file = "tests/golden/models/carol.txt";
  const auto whole = tokenizer->encode(read_file(file), {.add_bos = false});
  const auto stretches = read_stretches({file}, *tokenizer, 100, 1);
  ASSERT_EQ(stretches.size(), 1u);
  EXPECT_EQ(stretches[0].source, file);
  EXPECT_EQ(stretches[0].first, static_cast<int64_t>(whole.size()) / 3);
  const auto begin = whole.begin() + stretches[0].first;
  EXPECT_EQ(stretches[0].ids, std::vector<int32_t>(begin, begin + 100));
}

TEST_F(ReadStretches, RecordsOfAFileAreTextsOfTheirOwn) {
  const auto tokenizer = text::load_tokenizer("tests/golden/models/text");
  const std::string words = "and the ghost said so. and the ghost said so. and the ghost said so.";
  const auto file = write("texts.jsonl",
                          "{\"title\": \"short\", \"text\": \"so\"}\n{\"title\": "
                          "\"long\", \"text\": \"" +
                              words + "\"}\n");
  const auto stretches = read_stretches({file.string()}, *tokenizer, 8, 1);
  ASSERT_EQ(stretches.size(), 1u);
  EXPECT_EQ(stretches[0].source, "long");
}

}  // namespace
}  // namespace dsrasq::eval
