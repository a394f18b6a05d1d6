#include "dsrasq/report/result_file.h"

#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

class ResultFileTest : public ResultTest {};

const char* const kTask =
    R"({"task": "qa", "policy": "full", "samples": 2, "f1": 0.5, "f1_interval": [0.25, 0.75],
        "mean_retrieved": 0, "cache_bytes": 9})";
const char* const kBench =
    R"({"length": 100, "policy": "full", "tokens_per_s": 5, "slowest": 4, "fastest": 6,
        "cache_bytes": 7, "peak_bytes": 8})";

std::string rows(const std::string& row) { return "{\"rows\": [" + row + "]}"; }

TEST_F(ResultFileTest, PerplexityHasItsRows) {
  const ResultFile file =
      result("p.json", perplexity_json(perplexity_row("full", 27.5, 0) + ',' +
                                           perplexity_row("dsrasq", 27.8, 236,
                                                          R"(, "kl": 0.01, "change_percent": 0.9,
                                                      "change_interval": [0.5, 1.5])"),
                                       R"("topk": 256)"));
  EXPECT_EQ(kind_name(file), "perplexity");
  EXPECT_EQ(file.stem, "p");
  const auto& result = std::get<PerplexityResult>(file.result);
  EXPECT_EQ(result.length, 8192);
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_FALSE(result.rows[0].change_percent);
  EXPECT_FALSE(result.rows[0].kl);
  EXPECT_EQ(result.rows[1].policy, "dsrasq");
  EXPECT_EQ(result.rows[1].change->high, 1.5);
  EXPECT_EQ(result.rows[1].kl, 0.01);
}

TEST_F(ResultFileTest, EveryKindIsRecognisedByItsFields) {
  EXPECT_EQ(kind_name(result("a", needle_json(8000, "full", ""))), "needle");
  EXPECT_EQ(kind_name(result("a", rows(kTask))), "tasks");
  EXPECT_EQ(kind_name(result("a", rows(kBench))), "speed");
  EXPECT_EQ(kind_name(result("a", R"({"answer": "x", "passages": []})")), "answers");
  EXPECT_EQ(kind_name(result("a", R"({"way": "w", "found": 0, "of": 0, "answers": []})")),
            "answers");
}

TEST_F(ResultFileTest, MeansOverTasksHaveNoInterval) {
  const std::string all =
      R"({"task": "all", "policy": "full", "samples": 4, "f1": 0.4, "mean_retrieved": 0,
          "cache_bytes": 9, "seconds": 2},)";
  const ResultFile file = result("t.json", rows(all + kTask));
  const auto& result = std::get<TaskResult>(file.result);
  ASSERT_EQ(result.rows.size(), 2u);  // of f1 only: seconds is no score
  EXPECT_EQ(result.rows[0].task, "all");
  EXPECT_FALSE(result.rows[0].interval);
  EXPECT_EQ(result.rows[1].interval->low, 0.25);
}

TEST_F(ResultFileTest, OldSpeedsSayWhatTheyAreByTheirSegments) {
  const std::string bench = kBench;
  EXPECT_EQ(std::get<BenchResult>(result("b", rows(bench)).result).what, "");
  const std::string read = bench.substr(0, bench.size() - 1) + R"(, "segments": []})";
  EXPECT_EQ(std::get<BenchResult>(result("b", rows(read)).result).what, "prefill");
  const std::string named =
      R"({"what": "decode", "exponents": {"full": 0.5, "dsrasq": null},)" + rows(bench).substr(1);
  const auto decode = std::get<BenchResult>(result("b", named).result);
  EXPECT_EQ(decode.what, "decode");
  ASSERT_EQ(decode.exponents.size(), 1u);
  EXPECT_EQ(decode.exponents[0].second, 0.5);
}

TEST_F(ResultFileTest, CommandsAreThoseOfTheConfiguration) {
  const std::string row = perplexity_row("full", 27.5, 0);
  EXPECT_EQ(command_of(result("p", perplexity_json(row, R"("text": ["a b.txt", "c"], "chat": true,
      "shard": "", "merge": [], "length": 8192, "q": false, "device": null)"))),
            "dsrasq eval perplexity \\\n  --chat \\\n  --length 8192 \\\n  --text 'a b.txt' c");
  EXPECT_EQ(command_of(result("p", perplexity_json(row, ""))), "");
  EXPECT_EQ(command_of(result("p", R"({"answer": "x", "passages": [], "config":
      {"question": "Who's it?", "context": ["a"]}})")),
            "dsrasq ask \\\n  --context a \\\n  -- 'Who'\\''s it?'");
  const std::string alone = R"("policy": "alone", "samples": 1, "f1": 0.5, "f1_interval": [0, 1],
      "mean_retrieved": 0, "cache_bytes": 1}], "config": {"data": ["r.sgm"]}})";
  EXPECT_EQ(command_of(result("p", R"({"rows": [{"task": "age 0", )" + alone)),
            "dsrasq eval news \\\n  --data r.sgm");
  EXPECT_EQ(command_of(result("p", R"({"rows": [{"task": "d", "perplexity": 9,
      "perplexity_interval": [8, 10], )" +
                                       alone)),
            "dsrasq eval dialogue \\\n  --data r.sgm");
  EXPECT_EQ(command_of(result("p", R"({"way": "whole", "found": 0, "answers": []})")),
            "python3 tools/eval_questions.py whole");
}

TEST_F(ResultFileTest, WhatIsNoResultIsRefused) {
  EXPECT_HAS(error_text([&] { read_result(folder_ / "none.json"); }), "none.json");
  EXPECT_HAS(refusal(" \n"), "bad.json is empty");
  EXPECT_HAS(refusal("Call me Ishmael."), "bad.json: not JSON at byte 1");
  EXPECT_HAS(refusal("[1]"), "bad.json is no JSON object");
  EXPECT_HAS(refusal("{\"a\": 1}"), "bad.json is no result that a report can show: want what eval");
  EXPECT_HAS(refusal(R"({"rows": [{"a": 1}]})"), "bad.json is no result");
  EXPECT_HAS(refusal(R"({"rows": []})"), "bad.json: rows is empty");
  EXPECT_HAS(refusal(R"({"rows": 3})"), "bad.json: rows is no array");
  EXPECT_HAS(refusal(R"({"status": "error", "message": "no disk"})"),
             "is what a command wrote that failed: no disk");
  EXPECT_HAS(refusal(std::string(100, '[')), "nests deeper");
}

TEST_F(ResultFileTest, WrongFieldsAreNamed) {
  const auto perplexity = [&](const std::string& row) { return refusal(perplexity_json(row, "")); };
  EXPECT_HAS(perplexity(R"({"perplexity": 2})"), "bad.json: rows[0] lacks \"policy\"");
  EXPECT_HAS(perplexity(perplexity_row("full", -2, 0)),
             "bad.json: rows[0].perplexity is not above zero");
  EXPECT_HAS(perplexity(perplexity_row("full", 2, 0, R"(, "change_percent": "1")")),
             "rows[0].change_percent is no number");
  EXPECT_HAS(perplexity(perplexity_row("full", 2, 0, R"(, "change_interval": [1])")),
             "rows[0].change_interval is no pair of numbers");
  EXPECT_HAS(perplexity(perplexity_row("full", 2, 1e30)),
             "rows[0].mean_retrieved is too large a number");
  EXPECT_HAS(refusal(needle_json(0, "full", "")), "rows[0].length is no whole number from 1");
  EXPECT_HAS(refusal(R"({"answer": "x", "passages": [{"file": "a", "start": 5, "end": 4,
      "weight": 1}]})"),
             "passages[0].end is before its start");
  EXPECT_HAS(refusal(R"({"answer": "x", "passages": [], "config": 3})"), "config is no object");
  EXPECT_HAS(refusal(R"({"rows": [{"task": "qa", "f1": 1}]})"), "rows hold no figure");
}

TEST_F(ResultFileTest, FilesOfOneNameAreToldApartByTheirFolders) {
  std::filesystem::create_directories(folder_ / "a");
  std::filesystem::create_directories(folder_ / "b");
  const std::string json = perplexity_json(perplexity_row("full", 3, 0), "");
  std::vector<ResultFile> files{result("a/p.json", json), result("b/p.json", json),
                                result("b/q.json", json)};
  tell_apart(files);
  EXPECT_EQ(files[0].stem, "a/p");
  EXPECT_EQ(files[1].stem, "b/p");
  EXPECT_EQ(files[2].stem, "q");
}

}  // namespace
}  // namespace dsrasq::report
