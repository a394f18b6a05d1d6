#include "dsrasq/eval/task_figures.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/metrics/bleu.h"

namespace dsrasq::eval {
namespace {

using data::TaskFormat;
using data::TaskSample;
using Json = nlohmann::ordered_json;

Json scores(TaskKind kind, const TaskSample& sample, const std::string& answer) {
  return to_json(score_answer(kind, sample, answer));
}

double value(const std::string& figure, const std::vector<double>& sums, double n) {
  return find_figure(figure)->value(sums, n);
}

TEST(TaskFigures, QuestionsHaveExactMatchAndF1) {
  const TaskSample sample{.format = TaskFormat::kSquad, .references = {"the red car", "bus"}};
  EXPECT_EQ(scores(TaskKind::kQa, sample, "Red car.").dump(), R"({"em":1.0,"f1":1.0})");
  EXPECT_EQ(scores(TaskKind::kQa, sample, "red bike").dump(), R"({"em":0.0,"f1":0.5})");
}

TEST(TaskFigures, MultiRcCountsOptions) {
  const TaskSample sample{.format = TaskFormat::kMultiRc,
                          .options = {{"a", true}, {"b", false}, {"c", true}}};
  EXPECT_EQ(scores(TaskKind::kQa, sample, "0,1").dump(), R"({"f1a":[1.0,2.0,2.0],"em":0.0})");
  EXPECT_EQ(scores(TaskKind::kQa, sample, "0,2").dump(), R"({"f1a":[2.0,2.0,2.0],"em":1.0})");
  EXPECT_EQ(scores(TaskKind::kQa, sample, "").dump(), R"({"f1a":[0.0,0.0,2.0],"em":0.0})");
  EXPECT_EQ(shown_references(sample), std::vector<std::string>{"0,2"});
  EXPECT_DOUBLE_EQ(value("f1a", {3, 4, 4}, 2), 0.75);
  const TaskSample none{.format = TaskFormat::kMultiRc, .options = {{"a", false}}};
  EXPECT_EQ(scores(TaskKind::kQa, none, "").at("em"), 1.0);
  EXPECT_TRUE(shown_references(none).empty());
}

TEST(TaskFigures, SummariesAreStemmed) {
  const TaskSample sample{.format = TaskFormat::kSummary, .references = {"cats running home"}};
  const Json got = scores(TaskKind::kSummarization, sample, "cat runs home");
  EXPECT_EQ(got.at("rouge1"), 1.0);
  EXPECT_EQ(got.at("rougeLsum"), 1.0);
  EXPECT_EQ(got.size(), 4u);
}

TEST(TaskFigures, BleuIsOfTheCorpus) {
  const TaskSample a{.format = TaskFormat::kParallel, .references = {"the cat sat on the mat"}};
  const TaskSample b{.format = TaskFormat::kParallel, .references = {"a dog ran over the hill"}};
  const auto one = score_answer(TaskKind::kTranslation, a, "the cat sat on a mat");
  const auto two = score_answer(TaskKind::kTranslation, b, "a dog ran up the hill");
  std::vector<double> sums = one[0].statistics;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += two[0].statistics[i];
  metrics::BleuCounts counts;
  counts +=
      metrics::bleu_counts("the cat sat on a mat", a.references, metrics::BleuTokenizer::k13a);
  counts +=
      metrics::bleu_counts("a dog ran up the hill", b.references, metrics::BleuTokenizer::k13a);
  EXPECT_GT(value("bleu", sums, 2), 0);
  EXPECT_DOUBLE_EQ(value("bleu", sums, 2), metrics::bleu(counts).score);
}

TEST(TaskFigures, RulerWantsAllReferencesAndItsQuestionsAny) {
  TaskSample sample{
      .format = TaskFormat::kRuler, .task = "niah_multivalue", .references = {"17", "XY"}};
  EXPECT_EQ(scores(TaskKind::kRuler, sample, "it is 17").at("string_match"), 0.5);
  sample.task = "qa_1";
  EXPECT_EQ(scores(TaskKind::kRuler, sample, "it is xy").at("string_match"), 1.0);
  sample.format = TaskFormat::kKeyValue;
  EXPECT_EQ(scores(TaskKind::kRuler, sample, "17 xy").at("string_match"), 1.0);
}

TEST(TaskFigures, BabiNeedsTheTaskForItsLabels) {
  TaskSample sample{.format = TaskFormat::kBabi,
                    .task = "qa8",
                    .question = "What does Bill hold?",
                    .references = {"apple,milk"}};
  EXPECT_EQ(scores(TaskKind::kBabi, sample, "apple, milk").dump(),
            R"({"accuracy":1.0,"babilong":1.0})");
  EXPECT_EQ(scores(TaskKind::kBabi, sample, "Bill holds apple and milk").dump(),
            R"({"accuracy":0.0,"babilong":1.0})");
  for (const char* task : {"babi_train", "qa21", "qa", "qa1x"}) {
    sample.task = task;
    EXPECT_EQ(scores(TaskKind::kBabi, sample, "milk").dump(), R"({"accuracy":0.0})") << task;
  }
}

TEST(TaskFigures, LongBenchHasOneScoreByItsDataSet) {
  TaskSample sample{.format = TaskFormat::kLongBench, .task = "hotpotqa", .references = {"red"}};
  EXPECT_EQ(scores(TaskKind::kLongBench, sample, "red").dump(), R"({"score":1.0})");
  sample.task = "passage_count";
  sample.references = {"4"};
  EXPECT_EQ(scores(TaskKind::kLongBench, sample, "4 or 5").dump(), R"({"score":0.5})");
}

TEST(TaskFigures, ScoresComeBackFromJson) {
  const auto read = [](const char* text) { return scores_from_json(Json::parse(text)); };
  const auto scores = read(R"({"em": 1, "f1a": [1, 2, 3]})");
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[1].statistics, (std::vector<double>{1, 2, 3}));
  EXPECT_HAS(error_text([&] { read(R"({"meteor": 1})"); }), "there is no score \"meteor\"");
  EXPECT_HAS(error_text([&] { read(R"({"f1a": [1, 2]})"); }), "\"f1a\" is not made of 3 numbers");
  EXPECT_HAS(error_text([&] { read(R"({"em": "x"})"); }), "\"em\" is not made of 1 numbers");
  EXPECT_HAS(error_text([&] { read("[]"); }), "scores are no JSON object");
}

}  // namespace
}  // namespace dsrasq::eval
