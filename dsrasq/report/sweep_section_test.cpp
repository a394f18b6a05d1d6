#include <algorithm>

#include "dsrasq/report/sections.h"
#include "dsrasq/report/svg.h"
#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

std::string open_row(int top_k, int slots, double beta, double price, const std::string& more) {
  return concat(R"({"point": "k)", top_k, "-r", slots, R"(", "topk": )", top_k, R"(, "slots": )",
                slots, R"(, "beta": )", beta, R"(, "lambda_ret": )", price,
                R"(, "lambda_comp": 0, )", more, '}');
}

std::string row(int top_k, int slots, double beta, double perplexity, double price = 0,
                double retrieved = 60) {
  return open_row(
      top_k, slots, beta, price,
      concat(R"("state": "finished", "perplexity": )", perplexity,
             R"(, "full_perplexity": 27, "change_percent": 1.5,)",
             R"( "change_interval": [1, 2], "kl": 0.01, "mean_retrieved": )", retrieved,
             R"(, "cache_bytes": 4096, "tokens_per_s": 20000, "needle_accuracy": 0.75,)",
             R"( "steps": 40, "train_tokens_per_s": 9000, "train_seconds": 18)"));
}

class SweepSectionTest : public ResultTest {
 protected:
  ResultFile sweep(const std::string& rows, const std::string& config = "") const {
    return result("table.json", concat(R"({"points": 2, "finished": 2, "failed": 0, "rows": [)",
                                       rows, R"(], "config": {)", config, "}}"));
  }
};

TEST_F(SweepSectionTest, EveryBetaHasItsMapOnOneScale) {
  const std::vector<ResultFile> files{sweep(row(64, 64, 0.9, 28) + ',' + row(64, 128, 0.9, 27.5) +
                                            ',' + row(256, 128, 0.9, 27) + ',' +
                                            row(64, 64, 0.9999, 27.25))};
  EXPECT_EQ(kind_name(files[0]), "sweep");
  const Section section = sweep_section(files);
  ASSERT_EQ(section.figures.size(), 2u);
  EXPECT_EQ(section.figures[0].id, "sweep-map");
  EXPECT_EQ(section.figures[0].title, "Perplexity by k and r: beta = 0.9");
  EXPECT_EQ(section.figures[1].title, "Perplexity by k and r: beta = 0.9999");
  const auto& map = std::get<HeatMap>(section.figures[0].plot);
  EXPECT_EQ(map.rows, (std::vector<std::string>{"64", "256"}));
  ASSERT_EQ(map.columns.size(), 2u);
  EXPECT_EQ(map.columns[0].cells[0]->text, "28.000");
  EXPECT_EQ(map.columns[0].cells[0]->share, 0);  // the worst
  EXPECT_FALSE(map.columns[0].cells[1]);         // not measured
  EXPECT_EQ(map.columns[1].cells[0]->share, 0.5);
  EXPECT_EQ(map.columns[1].cells[1]->share, 1);
  EXPECT_EQ(std::get<HeatMap>(section.figures[1].plot).columns[0].cells[0]->share, 0.75);
  EXPECT_EQ(section.figures[0].table.rows.size(), 3u);
  EXPECT_EQ(section.figures[0].table.rows[0][13], "75 %");
  EXPECT_TRUE(section.missing.empty());
  EXPECT_HAS(draw_svg(section.figures[0], Layout::kNarrow), "27.500");
}

TEST_F(SweepSectionTest, BetaTakesThePlaceOfWhatDoesNotVary) {
  const std::vector<ResultFile> one_r{
      sweep(row(64, 64, 0.9, 28) + ',' + row(64, 64, 0.99, 27.5) + ',' + row(256, 64, 0.9, 27))};
  Section section = sweep_section(one_r);
  ASSERT_EQ(section.figures.size(), 1u);
  EXPECT_EQ(section.figures[0].title, "Perplexity by k and beta");
  const auto& by_beta = std::get<HeatMap>(section.figures[0].plot);
  ASSERT_EQ(by_beta.columns.size(), 2u);
  EXPECT_EQ(by_beta.columns[1].name, "0.99");
  EXPECT_EQ(by_beta.columns[1].cells[0]->text, "27.500");
  EXPECT_FALSE(by_beta.columns[1].cells[1]);
  const std::vector<ResultFile> one_k{sweep(row(64, 64, 0.9, 28) + ',' + row(64, 128, 0, 27))};
  section = sweep_section(one_k);
  EXPECT_EQ(section.figures[0].title, "Perplexity by beta and r");
  const auto& of_k = std::get<HeatMap>(section.figures[0].plot);
  EXPECT_EQ(of_k.rows, (std::vector<std::string>{"learned", "0.9"}));
}

TEST_F(SweepSectionTest, PricesAreCurvesAndNoPriceIsALine) {
  const std::vector<ResultFile> files{sweep(row(64, 0, 0, 28, 1e-3, 20) + ',' +
                                            row(64, 0, 0, 27.5, 1e-4, 40) + ',' +
                                            row(64, 0, 0, 27, 0, 60))};
  const Section section = sweep_section(files);
  ASSERT_EQ(section.figures.size(), 3u);
  EXPECT_EQ(section.figures[0].id, "sweep-lambda-ret-perplexity");
  EXPECT_EQ(section.figures[2].id, "sweep-lambda-ret-speed");
  const auto& plot = std::get<XyPlot>(section.figures[1].plot);
  ASSERT_EQ(plot.series.size(), 1u);
  ASSERT_EQ(plot.series[0].points.size(), 2u);
  EXPECT_EQ(plot.series[0].points[0].x, 1e-4);
  EXPECT_EQ(plot.series[0].points[0].y, 40);
  ASSERT_EQ(plot.levels.size(), 1u);
  EXPECT_EQ(plot.levels[0].name, "lambda_ret = 0");
  EXPECT_EQ(plot.levels[0].y, 60);
  EXPECT_EQ(section.figures[1].table.rows[0][3], "learned");
}

TEST_F(SweepSectionTest, WhatIsNotFinishedIsSaid) {
  const std::vector<ResultFile> files{
      sweep(row(64, 64, 0.9, 28) + ',' +
            open_row(128, 64, 0.9, 0, R"("state": "failed", "message": "train: no room")") + ',' +
            open_row(256, 64, 0.9, 0, R"("state": "open")"))};
  const Section section = sweep_section(files);
  EXPECT_TRUE(section.figures.empty());
  ASSERT_EQ(section.missing.size(), 3u);
  EXPECT_HAS(section.missing[0], "its finished points do not differ");
  EXPECT_EQ(section.missing[1], "table.json: point k128-r64 failed: train: no room");
  EXPECT_EQ(section.missing[2], "table.json: 1 point was not run yet.");
}

TEST_F(SweepSectionTest, TheCommandEndsWithTheOptionsOfTrainings) {
  const ResultFile file =
      sweep(row(64, 64, 0.9, 28),
            R"("output": "s", "topk": [64, 128], "train-options": ["--seed", "1"], "gpus": [])");
  EXPECT_EQ(command_of(file),
            "dsrasq sweep \\\n  --output s \\\n  --topk 64 128 \\\n  -- --seed 1");
}

TEST_F(SweepSectionTest, RowsThatLackAFieldAreRefused) {
  EXPECT_HAS(refusal(R"({"rows": [{"point": "a", "topk": 1}]})"), "rows[0] lacks \"slots\"");
  EXPECT_HAS(refusal("{\"rows\": [" + open_row(1, 2, 0.5, 0, R"("state": "finished")") + "]}"),
             "rows[0] lacks \"perplexity\"");
}

}  // namespace
}  // namespace dsrasq::report
