#include "dsrasq/eval/task_run.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
const char* const kModel = "tests/golden/models/text";

// Three questions about a short text each, and a paragraph that supports the answer.
std::string hotpot_file() {
  Json records = Json::array();
  for (int i = 0; i < 3; ++i) {
    const std::string name = "Name" + std::to_string(i);
    Json sentences = {"Nothing of use. ", "It rains all day. "};
    for (int j = 0; j < 4; ++j) sentences.push_back("The wind blows over the hills and the sea. ");
    const Json baker = Json::array({name, Json::array({name + " is a baker."})});
    records.push_back({{"_id", "id" + std::to_string(i)},
                       {"question", "Who is " + name + "?"},
                       {"answer", "A baker"},
                       {"supporting_facts", Json::array({Json::array({name, 0})})},
                       {"context", Json::array({baker, Json::array({"Far", sentences})})}});
  }
  return records.dump();
}

class TaskRun : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    options_.data = {write("hotpot.json", hotpot_file()).string()};
    options_.max_tokens = 3;
  }
  Json run(TaskKind kind = TaskKind::kQa) const {
    return run_tasks(engine_, base_, TaskSet(kind, options_), options_);
  }
  // Without what two runs may differ in.
  static Json timeless(Json result) {
    for (const char* part : {"rows", "samples"})
      for (Json& line : result[part])
        for (const char* name : {"seconds", "first_token_seconds"})
          for (const char* kind : {"", "_p50", "_p95"}) line.erase(concat(name, kind));
    return result;
  }

  const session::Engine engine_{{.model = kModel, .adapter = "none"}};
  policy::PolicyOptions base_{.name = "full,window:window=16", .sinks = 0};
  TaskOptions options_;
};

TEST_F(TaskRun, HasALineForEachSampleAndPolicyAndARowForEachPolicy) {
  const Json result = run();
  ASSERT_EQ(result["samples"].size(), 6u);
  const Json& line = result["samples"][3];
  EXPECT_EQ(line["sample"], 1);
  EXPECT_EQ(line["task"], "hotpot");
  EXPECT_EQ(line["id"], "id1");
  EXPECT_EQ(line["policy"], "window:window=16");
  EXPECT_EQ(line["question"], "Who is Name1?");
  EXPECT_EQ(line["references"], Json{"A baker"});
  EXPECT_LE(line["answer_tokens"], 3);
  EXPECT_GT(line["prompt_tokens"], 100);
  EXPECT_GT(line["cache_bytes"], 0);
  ASSERT_EQ(result["rows"].size(), 2u);
  EXPECT_EQ(result["rows"][0]["policy"], "full");
  EXPECT_EQ(result["rows"][1]["samples"], 3);
  EXPECT_TRUE(result["rows"][1].contains("f1_difference_interval"));
  for (const char* name : {"em", "f1", "policy", "mean_retrieved", "cache_bytes"})
    EXPECT_EQ(result[name], result["rows"][0][name]) << name;
}

TEST_F(TaskRun, RetrievalIsComparedWithTheSupportingDocuments) {
  base_ = {.name = "random", .window = 16, .sinks = 1, .top_k = 8, .pool = 512};
  const Json result = run();
  const Json& line = result["samples"][0];
  ASSERT_TRUE(line.contains("retrieved_support")) << line.dump();
  EXPECT_GT(line["support_share"], 0);
  EXPECT_LT(line["support_share"], 0.5);
  EXPECT_GE(line["retrieved_support"], 0);
  EXPECT_LE(line["retrieved_support"], 1);
  EXPECT_TRUE(result["rows"][0].contains("retrieved_support"));
}

TEST_F(TaskRun, StoppedRunsGoOnAndGiveTheSameResult) {
  options_.predictions = (folder_ / "p.jsonl").string();
  const Json whole = run();
  const std::string file = read_file(options_.predictions);
  EXPECT_EQ(std::count(file.begin(), file.end(), '\n'), 6);
  EXPECT_EQ(run(), whole);  // nothing is done again: not even the seconds change
  EXPECT_EQ(read_file(options_.predictions), file);

  // Stopped in the middle of the fifth line.
  size_t end = 0;
  for (int i = 0; i < 4; ++i) end = file.find('\n', end) + 1;
  write("p.jsonl", file.substr(0, end + 40));
  const Json again = run();
  EXPECT_EQ(timeless(again), timeless(whole));
  const std::string mended = read_file(options_.predictions);
  EXPECT_EQ(mended.substr(0, end), file.substr(0, end));
  EXPECT_EQ(std::count(mended.begin(), mended.end(), '\n'), 6);

  // A larger run keeps what there is.
  write("p.jsonl", file.substr(0, end));
  options_.samples = 1;
  EXPECT_EQ(run()["samples"].size(), 2u);
  EXPECT_EQ(read_file(options_.predictions), file.substr(0, end));
}

TEST_F(TaskRun, PredictionsOfOtherOptionsOrDataAreRefused) {
  options_.predictions = (folder_ / "p.jsonl").string();
  run();
  const auto refusal = [&] { return error_text([&] { run(); }); };
  options_.max_tokens = 2;
  EXPECT_HAS(refusal(), "p.jsonl line 1 was made with another model, other options or other data");
  options_.max_tokens = 3;
  base_.sinks = 1;
  EXPECT_HAS(refusal(), "p.jsonl line 1 was made with");
  base_.sinks = 0;
  std::string data = hotpot_file();
  data.replace(data.find("A baker"), 7, "A baxer");
  write("hotpot.json", data);
  EXPECT_HAS(refusal(), "p.jsonl line 1 was made with");
  write("hotpot.json", hotpot_file());
  run();
  const session::Engine in_integers{{.model = kModel, .adapter = "none", .products = "int8"}};
  EXPECT_HAS(error_text([&] {
               run_tasks(in_integers, base_, TaskSet(TaskKind::kQa, options_), options_);
             }),
             "p.jsonl line 1 was made with");
}

TEST_F(TaskRun, AnswersAtTheSameTimeAreThoseOneByOne) {
  const Json alone = run();
  options_.at_once = 4;
  options_.predictions = (folder_ / "p.jsonl").string();
  EXPECT_EQ(timeless(run()), timeless(alone));
  EXPECT_EQ(timeless(run()), timeless(alone));  // in the file they are in any order
}

TEST_F(TaskRun, ShardsMergedAreTheWholeRun) {
  const Json whole = run();
  std::vector<std::string> files;
  for (const char* shard : {"0/2", "1/2"}) {
    options_.shard = shard;
    files.push_back(write(std::string(1, shard[0]), run().dump()).string());
  }
  EXPECT_EQ(timeless(merge_tasks(files)), timeless(whole));
  EXPECT_HAS(error_text([&] { merge_tasks({files[0], files[0]}); }), "is there twice");
  const std::string bad = write("bad", R"({"samples": [{"sample": 0, "task": "t", "id": "1",
                                "policy": "full"}]})")
                              .string();
  EXPECT_HAS(error_text([&] { merge_tasks({bad}); }), "a line of the result is damaged");
}

TEST_F(TaskRun, MultiRcJudgesEveryOption) {
  options_.data = {write("val.jsonl", R"({"idx": 0, "passage": {"text": "It rains.", "questions": [
    {"idx": 0, "question": "What?", "answers": [{"idx": 0, "text": "Rain", "label": 1},
     {"idx": 1, "text": "Snow", "label": 0}]}]}})")
                       .string()};
  base_.name = "full";
  const Json result = run();
  const Json& line = result["samples"][0];
  EXPECT_EQ(line["references"], Json{"0"});
  EXPECT_EQ(line["scores"]["f1a"].size(), 3u);
  const std::string chosen = line["prediction"];
  EXPECT_TRUE(chosen == "" || chosen == "0" || chosen == "1" || chosen == "0,1") << chosen;
  EXPECT_TRUE(result.contains("f1a") && result.contains("em"));
  options_.data.push_back(write("hotpot.json", hotpot_file()).string());
  EXPECT_HAS(error_text([&] { run(); }, ErrorCode::kInvalidArgument), "MultiRC has figures");
}

TEST_F(TaskRun, AttentionRagPrunesTheTextsOfAQuestion) {
  base_.name = "full,attentionrag";
  const Json result = run();
  ASSERT_EQ(result["samples"].size(), 6u);
  const Json& whole = result["samples"][0];
  const Json& pruned = result["samples"][1];
  EXPECT_EQ(pruned["policy"], "attentionrag");
  EXPECT_LE(pruned["prompt_tokens"], whole["prompt_tokens"]);
  EXPECT_NE(pruned["run"], whole["run"]) << "the same options but for pruning";
  options_.data = {write("s.jsonl", R"({"document": "a b", "summary": "a"})").string()};
  EXPECT_HAS(error_text([&] { run(TaskKind::kSummarization); }, ErrorCode::kInvalidArgument),
             "policy 'attentionrag' prunes texts by the question, and 1 of 1 samples have none");
}

TEST_F(TaskRun, QuestionAgnosticPoliciesKeepAllOfTheQuestion) {
  std::string data = hotpot_file(), question = "Who is Name0";
  for (int i = 0; i < 60; ++i) question += " of the hills and the sea";
  data.replace(data.find("Who is Name0"), 12, question);
  options_.data = {write("long.json", data).string()};
  options_.samples = 1;
  base_ = {.name = "full,infini,snapkv", .cache = 32, .observed = 8};
  const Json aware = run();
  options_.question_agnostic = true;
  const Json agnostic = run();
  for (const size_t same : {0, 1})
    EXPECT_EQ(agnostic["samples"][same]["prediction"], aware["samples"][same]["prediction"]);
  EXPECT_NE(agnostic["samples"][0]["run"], aware["samples"][0]["run"]);
  // What comes behind the end of the prompt is not compressed.
  EXPECT_GT(agnostic["samples"][2]["cache_bytes"].get<int64_t>(),
            2 * aware["samples"][2]["cache_bytes"].get<int64_t>());
  options_.data = {write("s.jsonl", R"({"document": "a b", "summary": "a"})").string()};
  EXPECT_HAS(error_text([&] { run(TaskKind::kSummarization); }, ErrorCode::kInvalidArgument),
             "--question-agnostic needs questions behind the texts, and 1 of 1 samples have none");
}

TEST_F(TaskRun, QuestionAgnosticPoliciesJudgeOptionsByWhatTheyKept) {
  std::string passage;
  for (int i = 0; i < 40; ++i) passage += "It rains over the hills and the sea. ";
  options_.data = {write("val.jsonl", R"({"idx": 0, "passage": {"text": ")" + passage +
                                          R"(", "questions": [{"idx": 0, "question": "What?",
    "answers": [{"idx": 0, "text": "Rain", "label": 1}]}]}})")
                       .string()};
  base_ = {.name = "snapkv", .cache = 32, .observed = 8};
  const Json aware = run();
  options_.question_agnostic = true;
  EXPECT_LT(2 * run()["cache_bytes"].get<int64_t>(), aware["cache_bytes"].get<int64_t>());
}

TEST_F(TaskRun, OtherKindsRun) {
  options_.max_tokens = 2;
  base_.name = "full";
  const auto first_figure = [&](TaskKind kind, const std::vector<std::string>& files) {
    options_.data = files;
    return run(kind).begin().key();
  };
  EXPECT_EQ(first_figure(TaskKind::kSummarization,
                         {write("s.jsonl", R"({"document": "a b", "summary": "a"})").string()}),
            "rouge1");
  EXPECT_EQ(first_figure(TaskKind::kTranslation, {write("t.en", "Hi.\n").string(),
                                                  write("t.de", "Hallo, Fr\xFFulein.\n").string()}),
            "bleu");
  EXPECT_EQ(first_figure(TaskKind::kRuler,
                         {write("r.jsonl", R"({"input": "a", "outputs": ["b"]})").string()}),
            "string_match");
  EXPECT_EQ(
      first_figure(TaskKind::kBabi, {write("qa1_x.txt", "1 A.\n2 W?\tkitchen\t1\n").string()}),
      "accuracy");
  EXPECT_EQ(first_figure(TaskKind::kLongBench,
                         {write("l.jsonl", R"({"context": "a", "input": "", "answers": ["b"],
                                            "dataset": "gov_report"})")
                              .string()}),
            "score");
}

TEST_F(TaskRun, WrongOptionsAreRefused) {
  const auto refusal = [&] { return error_text([&] { run(); }, ErrorCode::kInvalidArgument); };
  base_.retention = "question";
  EXPECT_HAS(refusal(), "policy 'full': retention question needs the question before the texts");
  base_.retention = "recency";
  options_.samples = -1;
  EXPECT_HAS(refusal(), "samples is -1");
  options_.samples = 1;
  options_.max_tokens = -1;
  EXPECT_HAS(refusal(), "max-tokens is -1");
  options_.max_tokens = 1;
  options_.format = "hotpot";
  EXPECT_HAS(refusal(), "format is \"hotpot\", want auto, hotpotqa");
}

TEST_F(TaskRun, SamplesAreTakenFromTheFrontOfEachTask) {
  options_.data.push_back(write("other.json", hotpot_file()).string());
  options_.samples = 2;
  const TaskSet set(TaskKind::kQa, options_);
  EXPECT_EQ(set.size(), 4);
  std::vector<std::string> seen;
  set.for_each([&](int64_t number, const data::TaskSample& sample) {
    seen.push_back(std::to_string(number) + sample.task + sample.id);
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"0hotpotid0", "1hotpotid1", "2otherid0", "3otherid1"}));
}

}  // namespace
}  // namespace dsrasq::eval
