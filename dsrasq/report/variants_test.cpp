#include "dsrasq/report/variants.h"

#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

ResultFile file(const std::string& stem, const std::string& length, const std::string& adapter) {
  return {.path = stem + ".json",
          .stem = stem,
          .options = {{"length", {length}}, {"adapter", {adapter}}, {"shard", {stem}}},
          .result = {}};
}

std::set<std::string> length_of(const ResultFile& file) { return {file.options[0].values[0]}; }

TEST(VariantsTest, FilesThatDifferInWhatIsIgnoredBelongTogether) {
  const ResultFile a = file("needle-8000", "8000", "warm"),
                   b = file("needle-16384", "16384", "warm"),
                   c = file("needle-joint", "8000", "joint");
  const auto two = variants_of({&a, &b}, {"length"}, length_of);
  ASSERT_EQ(two.size(), 1u);
  EXPECT_EQ(two[0].label("full"), "full");
  const auto three = variants_of({&a, &c, &b}, {"length"}, length_of);
  ASSERT_EQ(three.size(), 2u);
  EXPECT_EQ(three[0].files, (FileList{&a, &b}));
  EXPECT_EQ(three[0].label("full"), "full, needle");
  EXPECT_EQ(three[1].label("full"), "full, needle-joint");
}

TEST(VariantsTest, TheSameMeasuredTwiceIsAnotherVariant) {
  const ResultFile a = file("first", "8000", "warm"), b = file("again", "8000", "warm");
  const auto variants = variants_of({&a, &b}, {"length"}, length_of);
  ASSERT_EQ(variants.size(), 2u);
  EXPECT_EQ(variants[1].name, "again");
}

TEST(VariantsTest, FilesWithoutOptionsStandAlone) {
  ResultFile a = file("a", "1", "x"), b = file("b", "2", "x");
  a.options.clear(), b.options.clear();
  EXPECT_EQ(grouped_by({&a, &b}, {"length"}).size(), 2u);
  EXPECT_EQ(
      variants_of({&a, &b}, {}, [](const ResultFile&) { return std::set<std::string>{}; }).size(),
      2u);
}

TEST(VariantsTest, GroupsHaveTheSameValuesOfTheirKeys) {
  const ResultFile a = file("a", "1", "x"), b = file("b", "2", "x"), c = file("c", "1", "y");
  EXPECT_EQ(grouped_by({&a, &b, &c}, {"length"}), (std::vector<FileList>{{&a, &c}, {&b}}));
}

TEST(VariantsTest, MarksTellSeriesOfOneColourApart) {
  Looks looks;
  EXPECT_EQ(looks.next("dsrasq").mark, 0);
  EXPECT_EQ(looks.next("full").mark, 0);
  EXPECT_EQ(looks.next("dsrasq top-k").mark, 1);
}

TEST(VariantsTest, ListsOfFilesReadAsText) {
  const ResultFile a = file("a", "1", "x"), b = file("b", "1", "x"), c = file("c", "1", "x");
  EXPECT_EQ(names_of({&a}), "a.json");
  EXPECT_EQ(names_of({&a, &b, &c}), "a.json, b.json and c.json");
}

}  // namespace
}  // namespace dsrasq::report
