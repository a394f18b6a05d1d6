#include "dsrasq/sweep/table.h"

#include "dsrasq/sweep/point_folder.h"
#include "dsrasq/sweep/test_points.h"

namespace dsrasq::sweep {
namespace {

const char* const kTrain = R"({"status": "ok", "steps": 30, "tokens_per_s": 9000, "seconds": 14})";
const char* const kPerplexity = R"({"length": 8192, "rows": [
  {"policy": "full", "perplexity": 27, "tokens_per_s": 400000},
  {"policy": "dsrasq", "perplexity": 27.5, "change_percent": 1.8, "change_interval": [1, 2],
   "kl": 0.01, "mean_retrieved": 60.5, "cache_bytes": 4096, "tokens_per_s": 20000}]})";
const char* const kNeedle = R"({"rows": [
  {"accuracy": 0.75, "accuracy_interval": [0.4, 0.9], "samples": 8}]})";

class TableTest : public PointTest {
 protected:
  static Point trained(const std::string& name, bool has_needle) {
    Point point{.name = name,
                .values = {{"topk", 64}, {"lambda-ret", 0.5}},
                .options = {},
                .stages = {{"train", {}, {}}, {"perplexity", {}, {}}},
                .scratch = {}};
    if (has_needle) point.stages.push_back({"needle", {}, {}});
    return point;
  }
  void store(const Point& point, const std::string& stage, const std::string& text) const {
    std::filesystem::create_directories(point_folder(folder_, point.name));
    write("points/" + point.name + "/" + stage + ".json", text);
  }
};

TEST_F(TableTest, EveryPointHasARow) {
  const std::vector<Point> points{trained("a", true), trained("b", false), trained("c", false)};
  store(points[0], "train", kTrain);
  store(points[0], "perplexity", kPerplexity);
  store(points[0], "needle", kNeedle);
  store(points[1], "failed", R"({"message": "train: no room"})");
  store(points[2], "train", kTrain);
  const Json table = sweep_table(folder_, points);
  EXPECT_EQ(table["points"], 3);
  EXPECT_EQ(table["finished"], 1);
  EXPECT_EQ(table["failed"], 1);
  EXPECT_EQ(table["rows"][0], (Json{{"point", "a"},
                                    {"topk", 64},
                                    {"lambda_ret", 0.5},
                                    {"state", "finished"},
                                    {"perplexity", 27.5},
                                    {"full_perplexity", 27},
                                    {"change_percent", 1.8},
                                    {"change_interval", {1, 2}},
                                    {"kl", 0.01},
                                    {"mean_retrieved", 60.5},
                                    {"cache_bytes", 4096},
                                    {"tokens_per_s", 20000},
                                    {"full_tokens_per_s", 400000},
                                    {"length", 8192},
                                    {"needle_accuracy", 0.75},
                                    {"needle_interval", {0.4, 0.9}},
                                    {"needle_samples", 8},
                                    {"train_tokens_per_s", 9000},
                                    {"steps", 30},
                                    {"train_seconds", 14}}));
  EXPECT_EQ(table["rows"][1]["state"], "failed");
  EXPECT_EQ(table["rows"][1]["message"], "train: no room");
  EXPECT_EQ(table["rows"][2]["state"], "open");
  EXPECT_FALSE(table["rows"][2].contains("perplexity"));
}

TEST_F(TableTest, AResultThatLacksAFieldIsNamed) {
  const std::vector<Point> points{trained("a", false)};
  store(points[0], "train", kTrain);
  store(points[0], "perplexity", R"({"rows": [{"perplexity": 27}, {"perplexity": 28}]})");
  EXPECT_HAS(error_text([&] { sweep_table(folder_, points); }),
             "points/a/perplexity.json: rows[1] lacks \"change_percent\"");
  store(points[0], "perplexity", "{");
  EXPECT_HAS(error_text([&] { sweep_table(folder_, points); }), "perplexity.json: not JSON");
}

}  // namespace
}  // namespace dsrasq::sweep
