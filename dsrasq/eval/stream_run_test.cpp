#include "dsrasq/eval/stream_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

StreamQuestion question(const std::string& task, const std::string& id) {
  StreamQuestion question{.sample = {}, .prompt = "Who is it?", .alone = "It is known."};
  question.sample.task = task;
  question.sample.id = id;
  question.sample.question = id + "?";
  question.sample.references = {"a baker"};
  return question;
}

class StreamRun : public FolderTest {
 protected:
  Json run() const { return run_streams(engine_, base_, streams_, rules_); }
  static Json timeless(Json result) {
    for (const char* part : {"rows", "samples"})
      for (Json& line : result[part])
        for (const char* name : {"seconds", "first_token_seconds"})
          for (const char* kind : {"", "_p50", "_p95"}) line.erase(concat(name, kind));
    return result;
  }
  const session::Engine engine_{{.model = "tests/golden/models/text", .adapter = "none"}};
  policy::PolicyOptions base_{
      .name = "full,window:window=16,infini", .window = 8, .sinks = 0, .cache = 16};
  std::vector<Stream> streams_{
      {{"It rains all day. The wind blows over the hills and the sea.", {question("age 0", "a")}},
       {"The baker has gone home early.", {}},
       {"It rains all night.", {question("age 0", "b"), question("age 1", "a")}}}};
  StreamRules rules_{.max_tokens = 3};
};

TEST_F(StreamRun, HasRowsByTaskAndPolicyAndTheQuestionsAlone) {
  const Json result = run();
  ASSERT_EQ(result["samples"].size(), 12u);
  const Json& line = result["samples"][5];
  EXPECT_EQ(line["sample"], 1);
  EXPECT_EQ(line["task"], "age 0");
  EXPECT_EQ(line["id"], "b");
  EXPECT_EQ(line["policy"], "window:window=16");
  EXPECT_EQ(line["references"], Json{"a baker"});
  EXPECT_GT(line["prompt_tokens"], result["samples"][1]["prompt_tokens"]);
  EXPECT_EQ(result["samples"][7]["policy"], "alone");
  EXPECT_LT(result["samples"][7]["prompt_tokens"], line["prompt_tokens"]);
  ASSERT_EQ(result["rows"].size(), 12u);  // all, age 0, age 1
  EXPECT_EQ(result["rows"][0]["task"], "all");
  EXPECT_EQ(result["rows"][4]["task"], "age 0");
  EXPECT_EQ(result["rows"][4]["samples"], 2);
  EXPECT_FALSE(result["rows"][4].contains("trained"));
  EXPECT_EQ(result["rows"][2]["trained"], false);
  EXPECT_EQ(result["rows"][6]["policy"], "infini");
  EXPECT_EQ(result["rows"][6]["trained"], false);
  EXPECT_TRUE(result.contains("f1") && result.contains("rougeL"));
  EXPECT_FALSE(result.contains("perplexity"));
}

TEST_F(StreamRun, QuestionsDoNotChangeLaterAnswers) {
  const Json whole = timeless(run());
  streams_[0][0].questions.clear();
  streams_[0][2].questions.erase(streams_[0][2].questions.begin());
  const Json only_last = timeless(run());
  for (size_t policy = 0; policy < 4; ++policy) {
    Json want = whole["samples"][8 + policy], got = only_last["samples"][policy];
    want.erase("sample");
    got.erase("sample");
    EXPECT_EQ(got, want);
  }
}

TEST_F(StreamRun, QuestionAgnosticPoliciesKeepAllOfTheQuestion) {
  StreamQuestion& asked = streams_[0][0].questions[0];
  for (int i = 0; i < 60; ++i) asked.prompt += " of the hills and the sea";
  base_ = {.name = "full,snapkv", .cache = 16, .observed = 8};
  const Json aware = run();
  rules_.question_agnostic = true;
  const Json agnostic = run();
  EXPECT_EQ(agnostic["samples"][0]["prediction"], aware["samples"][0]["prediction"]);
  EXPECT_GT(agnostic["samples"][1]["cache_bytes"].get<int64_t>(),
            2 * aware["samples"][1]["cache_bytes"].get<int64_t>());
}

TEST_F(StreamRun, RepliesHaveAPerplexity) {
  streams_[0].pop_back();
  streams_[0][1].questions = {question("age 0", "b")};
  for (StreamStep& step : streams_[0]) step.reply = " a baker from the hills.";
  const Json result = run();
  const Json& first = result["samples"][0];
  const Json& later = result["samples"][4];  // of the same policy
  const auto n_tokens = [&](const std::string& text) {
    return static_cast<int64_t>(engine_.tokenizer().encode(text).size());
  };
  const int64_t n = n_tokens(streams_[0][0].reply);
  ASSERT_EQ(first["scores"]["perplexity"][1], n);
  const double sum = first["scores"]["perplexity"][0].get<double>() +
                     later["scores"]["perplexity"][0].get<double>();
  EXPECT_GT(sum, 1);
  EXPECT_NEAR(result["perplexity"], std::exp(sum / static_cast<double>(2 * n)), 1e-6);
  // The reply was read before the second question.
  EXPECT_EQ(later["prompt_tokens"].get<int64_t>() - first["prompt_tokens"].get<int64_t>(),
            n + n_tokens(streams_[0][1].text));
}

TEST_F(StreamRun, OnlySoManyWordsOfAnAnswerCount) {
  EXPECT_EQ(first_words(" One\ntwo  three four ", 3), "One two three");
  EXPECT_EQ(first_words("One", 3), "One");
  rules_.max_tokens = 20;
  const std::string whole = run()["samples"][0]["prediction"];
  rules_.max_words = 2;
  EXPECT_EQ(run()["samples"][0]["prediction"], first_words(whole, 2));
}

TEST_F(StreamRun, StoppedRunsGoOnAndGiveTheSameResult) {
  rules_.predictions = (folder_ / "p.jsonl").string();
  const Json whole = run();
  const std::string file = read_file(rules_.predictions);
  EXPECT_EQ(std::count(file.begin(), file.end(), '\n'), 12);
  EXPECT_EQ(run(), whole) << "nothing is asked again";
  size_t end = 0;
  for (int i = 0; i < 5; ++i) end = file.find('\n', end) + 1;
  write("p.jsonl", file.substr(0, end + 30));
  EXPECT_EQ(timeless(run()), timeless(whole));
  streams_[0][0].text += " And more.";
  EXPECT_HAS(error_text([&] { run(); }), "p.jsonl line 1 was made with another model");
}

TEST_F(StreamRun, WhatCannotBeAskedIsRefused) {
  base_.retention = "question";
  EXPECT_HAS(error_text([&] { run(); }, ErrorCode::kInvalidArgument), "retention question");
  base_.retention = "recency";
  rules_.max_tokens = 0;
  EXPECT_HAS(error_text([&] { run(); }, ErrorCode::kInvalidArgument), "max-tokens is 0");
  rules_.max_tokens = 1;
  streams_[0][2].questions.push_back(question("age 1", "a"));
  EXPECT_HAS(error_text([&] { run(); }), "a is twice among the questions of age 1");
}

}  // namespace
}  // namespace dsrasq::eval
