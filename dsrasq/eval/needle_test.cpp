#include "dsrasq/eval/needle.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "dsrasq/core/file.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
const char* const kModel = "tests/golden/models/text";
const char* const kText = "tests/golden/models/carol.txt";

TEST(NeedleScore, IsFoundWhenAllDigitsStandInARow) {
  EXPECT_TRUE(needle_found(" 1234567.\n", "1234567"));
  EXPECT_TRUE(needle_found("It is not 7654321 but 1234567", "1234567"));
  EXPECT_FALSE(needle_found(" 123 4567", "1234567"));
  EXPECT_FALSE(needle_found("", "1234567"));
}

TEST(NeedleScore, DigitAccuracyCountsTheFirstNumbersLeadingDigits) {
  EXPECT_DOUBLE_EQ(digit_accuracy(" 1239999.", "1234567"), 3 / 7.0);
  EXPECT_DOUBLE_EQ(digit_accuracy(": 123", "1234567"), 3 / 7.0);
  EXPECT_DOUBLE_EQ(digit_accuracy("9 1234568", "1234567"), 0);
  EXPECT_DOUBLE_EQ(digit_accuracy("9 1234567", "1234567"), 1);
  EXPECT_DOUBLE_EQ(digit_accuracy("no number", "1234567"), 0);
}

class NeedlePrompts : public testing::Test {
 protected:
  NeedlePrompt make(int64_t length, int64_t sample, int64_t n_samples, uint64_t seed = 42) const {
    return make_needle(*tokenizer_, texts_, length, sample, n_samples, seed);
  }
  std::unique_ptr<text::Tokenizer> tokenizer_ = text::load_tokenizer(kModel);
  std::vector<std::string> texts_{read_file(kText)};
};

TEST_F(NeedlePrompts, HasExactlyTheWantedTokensAndRulersWording) {
  const NeedlePrompt prompt = make(1200, 3, 11);
  EXPECT_EQ(prompt.ids.size(), 1200u);
  EXPECT_EQ(prompt.depth, 30);
  const std::string text = tokenizer_->decode(prompt.ids);
  EXPECT_TRUE(
      text.starts_with("A special magic number is hidden within the following text. Make "
                       "sure to memorize it. I will quiz you about the number "
                       "afterwards.\n"))
      << text.substr(0, 200);
  const std::string needle =
      " One of the special magic numbers for " + prompt.key + " is: " + prompt.value + ".";
  EXPECT_EQ(text.find(needle), text.rfind(needle));
  const size_t at = text.find(needle);
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_EQ(text[at - 1], '.');  // between two sentences
  const std::string question = "\nWhat is the special magic number for " + prompt.key +
                               " mentioned in the provided text? The special magic number for " +
                               prompt.key + " mentioned in the provided text is";
  EXPECT_TRUE(text.ends_with(question));
  EXPECT_EQ(tokenizer_->decode(std::span(prompt.ids).subspan(prompt.question_at)), question);
}

TEST_F(NeedlePrompts, DepthsRunFromTheFirstSentenceToTheLast) {
  double before = -1;
  for (int64_t sample = 0; sample < 5; ++sample) {
    const NeedlePrompt prompt = make(1000, sample, 5);
    EXPECT_EQ(prompt.depth, 25.0 * static_cast<double>(sample));
    const std::string text = tokenizer_->decode(prompt.ids);
    const double at = static_cast<double>(text.find("One of the special magic")) /
                      static_cast<double>(text.size());
    EXPECT_GT(at, before);
    before = at;
    if (sample == 0) {
      EXPECT_HAS(text, "afterwards.\nOne of the");
    }
    if (sample == 4) {
      EXPECT_HAS(text, ".\nWhat is the");
    }
  }
}

TEST_F(NeedlePrompts, SeedAndNumberDecideTheNeedleAlone) {
  EXPECT_EQ(make(900, 2, 5).ids, make(900, 2, 5).ids);
  EXPECT_NE(make(900, 2, 5).value, make(900, 2, 5, 43).value);
  EXPECT_NE(make(900, 2, 5).value, make(900, 3, 5).value);
}

TEST_F(NeedlePrompts, ShortTextIsRepeatedAndTooShortPromptRefused) {
  EXPECT_EQ(make(9000, 1, 3).ids.size(), 9000u);
  EXPECT_HAS(error_text([&] { make(30, 1, 3); }, ErrorCode::kInvalidArgument),
             "length is 30 tokens, of which the question and the needle alone take");
  texts_ = {" \n"};
  EXPECT_HAS(error_text([&] { make(900, 1, 3); }), "there is no text to hide the needle in");
}

class NeedleRun : public FolderTest {
 protected:
  const session::Engine engine_{{.model = kModel, .adapter = "none"}};
  NeedleOptions options_{.text = {kText}, .length = {600}, .samples = 3, .max_tokens = 4};
};

TEST_F(NeedleRun, ShardsMergedAreTheWholeRun) {
  const policy::PolicyOptions base{.name = "full,window:window=64"};
  Json whole = run_needle(engine_, base, options_);
  ASSERT_EQ(whole["rows"].size(), 2u);
  EXPECT_EQ(whole["rows"][1]["policy"], "window:window=64");
  EXPECT_EQ(whole["rows"][0]["samples"], 3);
  EXPECT_EQ(whole["samples"].size(), 6u);
  for (const char* key :
       {"accuracy", "digit_accuracy", "policy", "length", "mean_retrieved", "cache_bytes"})
    EXPECT_EQ(whole[key], whole["rows"][0][key]) << key;

  std::vector<std::string> files;
  for (const char* shard : {"0/2", "1/2"}) {
    options_.shard = shard;
    files.push_back(write(std::string(1, shard[0]), run_needle(engine_, base, options_).dump()));
  }
  Json merged = merge_needle(files);
  for (Json* result : {&whole, &merged})
    for (Json& sample : (*result)["samples"]) sample.erase("seconds");
  const auto by_number = [](Json& result) {
    std::vector<std::string> lines;
    for (const Json& sample : result["samples"]) lines.push_back(sample.dump());
    std::sort(lines.begin(), lines.end());
    return lines;
  };
  EXPECT_EQ(by_number(whole), by_number(merged));
  EXPECT_EQ(whole["rows"], merged["rows"]);
}

TEST_F(NeedleRun, QuestionAgnosticPoliciesChooseWithoutTheQuestion) {
  const policy::PolicyOptions base{.name = "full,snapkv", .cache = 16, .observed = 8};
  options_.max_tokens = 12;
  const Json aware = run_needle(engine_, base, options_);
  options_.question_agnostic = true;
  const Json agnostic = run_needle(engine_, base, options_);
  const auto answers = [](const Json& result, const char* policy) {
    std::string all;
    for (const Json& sample : result["samples"])
      if (sample["policy"] == policy) all += sample["answer"].get<std::string>() + '|';
    return all;
  };
  EXPECT_EQ(answers(agnostic, "full"), answers(aware, "full"));
  EXPECT_NE(answers(agnostic, "snapkv"), answers(aware, "snapkv"));
}

TEST_F(NeedleRun, AnswersAtTheSameTimeAreThoseOneByOne) {
  const policy::PolicyOptions base{.name = "full,window:window=64"};
  Json alone = run_needle(engine_, base, options_);
  options_.at_once = 3;
  Json together = run_needle(engine_, base, options_);
  for (Json* result : {&alone, &together})
    for (Json& sample : (*result)["samples"]) sample.erase("seconds");
  EXPECT_EQ(alone, together);
}

TEST_F(NeedleRun, ComparesWithTheFirstPolicyOfTheSameLength) {
  Json samples = Json::array();
  const auto add = [&](int sample, int length, const char* policy, bool found, double digits) {
    samples.push_back({{"sample", sample},
                       {"length", length},
                       {"policy", policy},
                       {"found", found},
                       {"digit_accuracy", digits},
                       {"mean_retrieved", 3},
                       {"cache_bytes", 9}});
  };
  add(0, 8, "full", true, 1), add(0, 8, "w", false, 0.5), add(1, 8, "w", true, 1);
  add(0, 4, "full", false, 0), add(0, 4, "w", true, 1);
  const Json rows = merge_needle({write("a", Json{{"samples", samples}}.dump())})["rows"];
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1]["length"], 4);
  EXPECT_EQ(rows[1]["accuracy_difference"], 1);
  EXPECT_EQ(rows[3]["accuracy_difference"], -1) << "only sample 0 has a partner";
  EXPECT_EQ(rows[3]["digit_accuracy_difference_interval"], (Json{-0.5, -0.5}));
  EXPECT_EQ(rows[3]["digit_accuracy_interval"], (Json{0.5, 1.0}));
  EXPECT_FALSE(rows[0].contains("accuracy_difference"));
}

TEST_F(NeedleRun, RefusesFilesThatCannotBeMerged) {
  const std::string file = write("a", R"({"samples": [{"sample": 1}]})");
  EXPECT_HAS(error_text([&] { merge_needle({file}); }), "sample 1 has no \"length\"");
  const std::string other = write("b", "[]");
  EXPECT_HAS(error_text([&] { merge_needle({other}); }), "not a result with samples");
  const std::string twice = write("c", R"({"samples": [{"sample": 1, "length": 9, "policy": "full"},
                                      {"sample": 1, "length": 9, "policy": "full"}]})");
  EXPECT_HAS(error_text([&] { merge_needle({twice}); }), "sample [1,9,\"full\"] is there twice");
}

}  // namespace
}  // namespace dsrasq::eval
