#include "dsrasq/eval/gist.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/core/file.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
const char* const kModel = "tests/golden/models/text";
const char* const kText = "tests/golden/models/carol.txt";

std::vector<Stretch> stretches(int64_t n) {
  std::vector<Stretch> texts;
  for (int32_t i = 0; i < n; ++i) {
    texts.push_back({.source = std::to_string(i)});
    for (int32_t t = 0; t < 100; ++t) texts.back().ids.push_back(1000 * i + t);
  }
  return texts;
}

TEST(Gist, TheRightPassageIsTheFirstTextsAndNobodyReadIt) {
  const GistOptions options{.length = 60, .between = 10, .passage = 5, .choices = 3, .samples = 4};
  const GistSample gist = make_gist(stretches(4), options, 3);
  EXPECT_EQ(gist.read.front(), 3000);
  EXPECT_EQ(gist.read.back(), 3059);
  EXPECT_EQ(gist.between, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  ASSERT_EQ(gist.passages.size(), 3u);
  EXPECT_EQ(gist.passages[0], (std::vector<int32_t>{3095, 3096, 3097, 3098, 3099}));
  EXPECT_EQ(gist.passages[1].front(), 1095);
  EXPECT_EQ(gist.passages[2].front(), 2095);
}

class GistRun : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    const std::string text = read_file(kText);
    std::string lines;
    for (size_t i = 0; i < 4; ++i) {
      const std::string turned = text.substr(500 * i) + text.substr(0, 500 * i);
      lines += Json{{"title", std::to_string(i)}, {"text", turned + turned + turned}}.dump() + "\n";
    }
    write_file(folder_ / "texts.jsonl", lines);
    options_.text = {(folder_ / "texts.jsonl").string()};
  }
  Json run(const std::string& policies) const {
    return run_gist(engine_, {.name = policies, .window = 64}, options_);
  }
  std::string refusal(ErrorCode code) const {
    return error_text([&] { run("full"); }, code);
  }

  const session::Engine engine_{{.model = kModel, .adapter = "none"}};
  GistOptions options_{.length = 200, .between = 80, .passage = 16, .choices = 2, .samples = 4};
};

TEST_F(GistRun, RowsAreMeansOverSamples) {
  const Json result = run("full,window");
  ASSERT_EQ(result["rows"].size(), 2u);
  double own = 0, other = 0;
  int n_right = 0;
  for (const Json& sample : result["samples"]) {
    if (sample["policy"] != "full") continue;
    ASSERT_EQ(sample["gains"].size(), 2u);
    const auto first = sample["gains"][0].get<double>(), second = sample["gains"][1].get<double>();
    EXPECT_NE(first, 0);
    own += first / 4, other += second / 4, n_right += first > second;
  }
  const Json& row = result["rows"][0];
  EXPECT_EQ(row["samples"], 4);
  EXPECT_EQ(row["chance"], 0.5);
  EXPECT_NEAR(row["own_gain"].get<double>(), own, 1e-12);
  EXPECT_NEAR(row["other_gain"].get<double>(), other, 1e-12);
  EXPECT_NEAR(row["advantage"].get<double>(), own - other, 1e-12);
  EXPECT_EQ(row["accuracy"].get<double>(), n_right / 4.0);
  EXPECT_LE(row["advantage_interval"][0], row["advantage"]);
  EXPECT_FALSE(row.contains("advantage_difference"));
  const Json& second = result["rows"][1];
  EXPECT_NEAR(second["advantage_difference"].get<double>(),
              second["advantage"].get<double>() - row["advantage"].get<double>(), 1e-12);
  EXPECT_TRUE(second.contains("accuracy_difference_interval"));
}

TEST_F(GistRun, ShardsMergedAreTheWholeRun) {
  const Json whole = run("full");
  std::vector<std::string> files;
  for (const char* shard : {"0/2", "1/2"}) {
    options_.shard = shard;
    files.push_back(write(std::string(1, shard[0]), run("full").dump()));
  }
  EXPECT_EQ(merge_gist(files)["rows"], whole["rows"]);
  EXPECT_HAS(error_text([&] { merge_gist({files[0], files[0]}); }), "is there twice");
  EXPECT_HAS(error_text([&] {
               merge_gist({write("c", R"({"samples": [{"sample": 1, "policy": "full"}]})")});
             }),
             "gains");
}

TEST_F(GistRun, OptionsThatCannotBeMetAreNamed) {
  options_.choices = 4;
  EXPECT_HAS(refusal(ErrorCode::kInvalidArgument), "--samples has to be more than --choices");
  options_.choices = 1;
  EXPECT_HAS(refusal(ErrorCode::kInvalidArgument), "--choices has to be at least 2");
  options_.choices = 2;
  options_.between = 201;
  EXPECT_HAS(refusal(ErrorCode::kInvalidArgument), "--between has to be from 1 to --length");
  options_.between = 80;
  options_.samples = 5;
  EXPECT_HAS(refusal(ErrorCode::kBadInput), "too few texts of");
}

}  // namespace
}  // namespace dsrasq::eval
