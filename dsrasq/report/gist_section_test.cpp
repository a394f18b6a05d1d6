#include "dsrasq/report/sections.h"
#include "dsrasq/report/svg.h"
#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

std::string gist_json() {
  const auto row = [](const std::string& policy, double advantage, const std::string& more) {
    return concat(R"({"policy": ")", policy, R"(", "samples": 12, "accuracy": 0.75,)",
                  R"( "accuracy_interval": [0.5, 0.9], "chance": 0.25, "own_gain": 0.5,)",
                  R"( "other_gain": 0.25, "advantage": )", advantage,
                  R"(, "advantage_interval": [0.1, 0.3], "mean_retrieved": 64,)",
                  R"( "cache_bytes": 4096)", more, '}');
  };
  return concat(R"({"rows": [)", row("dsrasq", 0.25, ""), ',',
                row("dsrasq:slots=0", -0.125,
                    R"(, "advantage_difference": -0.375,)"
                    R"( "advantage_difference_interval": [-0.5, -0.25])"),
                "]}");
}

using GistSectionTest = ResultTest;

TEST_F(GistSectionTest, ShowsChoicesAndAdvantages) {
  const std::vector<ResultFile> files{result("g.json", gist_json())};
  EXPECT_EQ(kind_name(files[0]), "gist");
  const Section section = gist_section(files);
  ASSERT_EQ(section.figures.size(), 2u);
  EXPECT_EQ(section.figures[0].id, "gist-accuracy");
  EXPECT_HAS(section.figures[0].caption, "Chance is 25 %.");
  const auto& plot = std::get<RowPlot>(section.figures[1].plot);
  ASSERT_EQ(plot.rows.size(), 2u);
  EXPECT_EQ(plot.rows[0].group, "");
  EXPECT_EQ(plot.rows[1].text, "-0.125");
  EXPECT_EQ(section.figures[1].table.rows[1][9], "-0.375");
  EXPECT_EQ(section.figures[1].table.rows[1][10], "-0.500 to -0.250");
  EXPECT_HAS(draw_svg(section.figures[1], Layout::kNarrow), "dsrasq:slots=0");
}

TEST_F(GistSectionTest, LacksAreNamed) {
  const std::string text = gist_json();
  const size_t at = text.find("\"chance\"");
  EXPECT_HAS(refusal(text.substr(0, at) + "\"chances\"" + text.substr(at + 8)),
             "rows[0] lacks \"chance\"");
}

}  // namespace
}  // namespace dsrasq::report
