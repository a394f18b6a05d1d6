#include "dsrasq/report/sections.h"

#include <algorithm>

#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

class SectionsTest : public ResultTest {
 protected:
  static std::vector<std::string> ids(const Section& section) {
    std::vector<std::string> out;
    for (const Figure& figure : section.figures) out.push_back(figure.id);
    return out;
  }
  static const Figure& figure(const Section& section, const std::string& id) {
    const auto found = std::find_if(section.figures.begin(), section.figures.end(),
                                    [&](const Figure& figure) { return figure.id == id; });
    EXPECT_NE(found, section.figures.end()) << id;
    return *found;
  }
  static std::vector<std::string> names(const XyPlot& plot) {
    std::vector<std::string> out;
    for (const Series& series : plot.series) out.push_back(series.name);
    return out;
  }
};

using Names = std::vector<std::string>;

TEST_F(SectionsTest, CurvesGoThroughFamilies) {
  const std::string kl = R"(, "kl": 0.01, "change_percent": 1, "change_interval": [0, 2])";
  const std::vector<ResultFile> files{result(
      "p.json",
      perplexity_json(perplexity_row("full", 27, 0) + ',' + perplexity_row("window", 30, 0, kl) +
                          ',' + perplexity_row("dsrasq", 27.5, 236, kl) + ',' +
                          perplexity_row("dsrasq:topk=64", 28, 60, kl) + ',' +
                          perplexity_row("dsrasq:min-share=0.01", 28.5, 9, kl) + ',' +
                          perplexity_row("h2o", 29, 0, kl),
                      R"("device": "cuda")"))};
  const Section section = perplexity_section(files);
  EXPECT_EQ(ids(section), (Names{"perplexity-change", "perplexity-retrieved", "kl-retrieved",
                                 "perplexity-bytes"}));
  EXPECT_TRUE(section.missing.empty());
  const auto& plot = std::get<XyPlot>(figure(section, "perplexity-retrieved").plot);
  EXPECT_EQ(names(plot), (Names{"dsrasq top-k", "dsrasq threshold"}));
  ASSERT_EQ(plot.series[0].points.size(), 2u);
  EXPECT_EQ(plot.series[0].points[0].x, 60);  // by x, not as they were measured
  EXPECT_EQ(plot.series[0].points[0].y, 28);
  ASSERT_EQ(plot.levels.size(), 2u);
  EXPECT_EQ(plot.levels[1].name, "window");
  EXPECT_EQ(std::get<RowPlot>(figure(section, "perplexity-change").plot).rows.size(), 5u);
  EXPECT_HAS(figure(section, "perplexity-bytes").caption, "Measured on a GPU");
}

TEST_F(SectionsTest, WhatFilesDoNotHoldIsSaid) {
  const std::vector<ResultFile> files{
      result("a.json", perplexity_json(perplexity_row("full", 27, 0), R"("length": 1)")),
      result("b.json",
             perplexity_json(perplexity_row("full", 27, 0) + ',' + perplexity_row("dsrasq", 28, 9),
                             R"("length": 2)"))};
  const Section section = perplexity_section(files);
  EXPECT_EQ(ids(section),
            (Names{"perplexity-bytes", "perplexity-retrieved-2", "perplexity-bytes-2"}));
  ASSERT_EQ(section.missing.size(), 4u);
  EXPECT_HAS(section.missing[0], "No change against full attention from a.json");
  EXPECT_HAS(section.missing[1], "No perplexity against tokens retrieved from a.json");
  EXPECT_HAS(section.missing[3], "No KL divergence from b.json");
}

TEST_F(SectionsTest, RunsOverTheSameTextsShareAFigure) {
  const auto json = [](const std::string& adapter, double dsrasq) {
    return perplexity_json(
        perplexity_row("full", 27, 0) + ',' + perplexity_row("dsrasq", dsrasq, 9),
        "\"text\": [\"t\"], \"adapter\": \"" + adapter + '"');
  };
  const std::vector<ResultFile> files{result("a.json", json("x", 28)),
                                      result("b.json", json("y", 29))};
  const Section section = perplexity_section(files);
  const auto& plot = std::get<XyPlot>(figure(section, "perplexity-retrieved").plot);
  EXPECT_EQ(names(plot), (Names{"dsrasq top-k, a", "dsrasq top-k, b"}));
  ASSERT_EQ(plot.levels.size(), 1u);  // measured alike twice
  EXPECT_EQ(plot.levels[0].name, "full");
}

TEST_F(SectionsTest, NeedlesOfSeveralLengthsAreOneCurve) {
  const std::vector<ResultFile> files{
      result("n-2.json", needle_json(16384, "dsrasq", R"("length": [16384], "pool": 9)")),
      result("n-1.json", needle_json(8000, "dsrasq", R"("length": [8000], "pool": 8)"))};
  const Section section = needle_section(files);
  const auto& plot = std::get<XyPlot>(figure(section, "needle-length").plot);
  EXPECT_EQ(names(plot), (Names{"dsrasq"}));
  ASSERT_EQ(plot.series[0].points.size(), 2u);
  EXPECT_EQ(plot.series[0].points[0].x, 8000);
  const auto& map = std::get<HeatMap>(figure(section, "needle-depth").plot);
  ASSERT_EQ(map.columns.size(), 2u);
  EXPECT_EQ(map.columns[0].name, "8,000");
  EXPECT_EQ(map.columns[0].cells.front()->text, "1/1");
  EXPECT_FALSE(map.columns[0].cells[5]);  // nothing was measured there
  EXPECT_EQ(map.columns[0].cells.back()->text, "0/1");
}

TEST_F(SectionsTest, MemoriesThatKnewTheQuestionStandApart) {
  std::string rows;
  for (const char* task : {"a", "b"})
    for (const char* policy : {"snapkv", "full", "dsrasq"})
      rows += concat(rows.empty() ? "" : ",", R"({"task": ")", task, R"(", "policy": ")", policy,
                     R"(", "samples": 2, "f1": 0.5, "f1_interval": [0, 1], "mean_retrieved": 0,
                        "cache_bytes": 1})");
  const std::vector<ResultFile> files{result("qa.json", "{\"rows\": [" + rows + "]}")};
  const Section section = task_section(files);
  const auto& plot = std::get<RowPlot>(figure(section, "task-f1").plot);
  std::vector<std::string> got;
  for (const RowPlot::Row& row : plot.rows) got.push_back(row.group + ": " + row.name);
  EXPECT_EQ(got,
            (Names{"a, kept without the question: full", "a, kept without the question: dsrasq",
                   "a, kept for the question: snapkv", "b, kept without the question: full",
                   "b, kept without the question: dsrasq", "b, kept for the question: snapkv"}));
}

TEST_F(SectionsTest, NamesOfScoresMakeNoPaths) {
  const std::vector<ResultFile> files{
      result("qa.json", R"({"rows": [{"task": "a", "policy": "full", "samples": 2, "../f": 0.5,
          "../f_interval": [0, 1], "_./f": 1, "_./f_interval": [0, 1], "mean_retrieved": 0,
          "cache_bytes": 1}]})")};
  EXPECT_EQ(ids(task_section(files)), (Names{"task----f", "task----f-2"}));
}

TEST_F(SectionsTest, SpeedsHaveTheirExponent) {
  const auto row = [](int length, int peak) {
    return concat(R"({"length": )", length, R"(, "policy": "full", "tokens_per_s": 5,
        "slowest": 4, "fastest": 6, "cache_bytes": 7, "peak_bytes": )",
                  peak, '}');
  };
  const auto json = [&](int peak) {
    return concat(R"({"what": "decode", "rows": [)", row(100, 8), ',', row(200, peak),
                  R"(], "exponents": {"full": 1.234}})");
  };
  const Section section = speed_section({});
  EXPECT_TRUE(section.figures.empty());
  const std::vector<ResultFile> files{result("d.json", json(9))};
  const Section decode = speed_section(files);
  EXPECT_EQ(ids(decode), (Names{"speed-generating", "memory-generating"}));
  const auto& plot = std::get<XyPlot>(decode.figures[0].plot);
  EXPECT_EQ(names(plot), (Names{"full: L^1.23"}));
  EXPECT_EQ(plot.series[0].points[0].bounds->high, 6);
  const std::vector<ResultFile> without{result("d.json", json(0))};
  EXPECT_EQ(ids(speed_section(without)), (Names{"speed-generating"}));
}

TEST_F(SectionsTest, WhatWasCountedIsDrawnBesideTheTime) {
  const auto row = [](const char* policy, int length, const std::string& more) {
    return concat(R"({"length": )", length, R"(, "policy": ")", policy, R"(", "tokens_per_s": 5,
        "slowest": 5, "fastest": 5, "cache_bytes": 7, "peak_bytes": 9)",
                  more, '}');
  };
  const std::string counted = R"(, "operations": 1e15, "cache_bytes_read": 3e9)";
  const std::vector<ResultFile> files{
      result("s.json", concat(R"({"what": "scaling", "rows": [)", row("full", 100, counted), ',',
                              row("full", 200, counted), ',', row("h2o", 100, ""),
                              R"(], "exponents": {"full": 1.5, "h2o": null}, "growth": [
          {"policy": "full", "of": "seconds", "exponent": 1.5, "low": 1.4, "high": 1.6},
          {"policy": "full", "of": "operations", "exponent": 1.25,
           "low": null, "high": null}]})"))};
  const Section section = speed_section(files);
  EXPECT_EQ(ids(section), (Names{"time-scaling", "speed-scaling", "memory-scaling",
                                 "counted-operations", "counted-cache_bytes_read"}));
  for (const size_t timed : {0, 1})
    EXPECT_EQ(names(std::get<XyPlot>(section.figures[timed].plot)),
              (Names{"full: L^1.50 (1.40 to 1.60)", "h2o"}));
  EXPECT_EQ(std::get<XyPlot>(section.figures[0].plot).series[0].points[1].y, 40);
  EXPECT_TRUE(std::get<XyPlot>(section.figures[0].plot).y.is_log);
  EXPECT_EQ(names(std::get<XyPlot>(section.figures[3].plot)), (Names{"full: L^1.25"}));
  EXPECT_EQ(names(std::get<XyPlot>(section.figures[4].plot)), (Names{"full"}));
  EXPECT_EQ(section.figures[3].table.rows.size(), 2u);
}

TEST_F(SectionsTest, PassagesLieWhereTheyWereRead) {
  const std::vector<ResultFile> files{result("ask.json", R"({"answer": "x", "passages": [
          {"file": "a.txt", "start": 10, "end": 20, "weight": 0.02},
          {"file": "b.txt", "start": 0, "end": 50, "weight": 0.01}],
          "config": {"question": "Who?"}})"),
                                      result("none.json", R"({"answer": "x", "passages": []})")};
  const Section section = answer_section(files);
  const auto& plot = std::get<TrackPlot>(figure(section, "passages-1").plot);
  ASSERT_EQ(plot.tracks.size(), 2u);
  EXPECT_EQ(plot.tracks[1].name, "Who?: b.txt");
  EXPECT_EQ(plot.tracks[0].length, 20);
  EXPECT_EQ(plot.tracks[1].spans[0].weight, 0.5);
  ASSERT_EQ(section.missing.size(), 1u);
  EXPECT_HAS(section.missing[0], "No passages from none.json");
}

TEST_F(SectionsTest, OnlyJudgedAnswersAreCountedRight) {
  const auto json = [](const char* right) {
    return concat(R"({"way": "whole", "found": 1, "answers": [{"question": "q", "answer": "a",
                   "rank": 2, "right": )",
                  right, R"(, "passages": []}]})");
  };
  const std::vector<ResultFile> files{result("a.json", json("true")),
                                      result("b.json", json("null"))};
  const Section section = answer_section(files);
  const auto& plot = std::get<RowPlot>(figure(section, "questions").plot);
  ASSERT_EQ(plot.rows.size(), 3u);
  EXPECT_EQ(plot.rows[0].text, "1 of 1");
  EXPECT_EQ(plot.rows[2].group, "answered right");
  EXPECT_EQ(plot.rows[2].name, "a");
}

}  // namespace
}  // namespace dsrasq::report
