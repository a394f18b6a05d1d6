#include "dsrasq/report/svg.h"

#include "dsrasq/report/html_page.h"
#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

Figure figure_with(Plot plot) {
  return {.id = "f",
          .title = "A <title>",
          .caption = "How & why",
          .plot = std::move(plot),
          .table = {{"policy", "KL", "tokens"}, {{"<b>", "", "1,024"}}},
          .sources = {}};
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// The numbers of an attribute of the elements of a class, as they stand in the text.
std::vector<double> numbers(const std::string& svg, const std::string& of_class,
                            const std::string& attribute) {
  std::vector<double> out;
  for (size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const std::string tag = svg.substr(at, svg.find('>', at) - at);
    const size_t value = tag.find(' ' + attribute + "=\"");
    if (tag.find("class=\"" + of_class + '"') == std::string::npos || value == std::string::npos)
      continue;
    out.push_back(std::stod(tag.substr(value + attribute.size() + 3)));
  }
  return out;
}

XyPlot two_curves() {
  return {.x = {"tokens", Unit::kTokens, true},
          .y = {"found", Unit::kNumber},
          .series = {{"dsrasq", {1, 0}, {{1024, 2, Bounds{1, 3}}, {2048, 3, Bounds{2, 4}}}},
                     {"random", {6, 0}, {{2048, 3.01}}}},
          .levels = {{"full", {0, 0}, 1}}};
}

TEST(SvgTest, FiguresSayWhatTheyShow) {
  for (const Layout layout : {Layout::kWide, Layout::kNarrow}) {
    const std::string svg = draw_svg(figure_with(two_curves()), layout);
    EXPECT_HAS(svg, ">A &lt;title&gt;</title>");
    EXPECT_HAS(svg, ">How &amp; why</desc>");
    EXPECT_EQ(count(svg, "<polyline"), 1u);
    EXPECT_EQ(count(svg, "class=\"band\""), 1u);
    EXPECT_EQ(count(svg, "class=\"whisker\""), 2u);
    EXPECT_EQ(count(svg, "<circle"), layout == Layout::kWide ? 3u : 5u);  // the legend has two
    for (const char* name : {">dsrasq<", ">random<", ">full<", ">2,048<"}) EXPECT_HAS(svg, name);
  }
}

TEST(SvgTest, LabelsDoNotOverlap) {
  const std::string svg = draw_svg(figure_with(two_curves()), Layout::kWide);
  const std::vector<double> places = numbers(svg, "own", "y");
  ASSERT_EQ(places.size(), 3u);
  for (size_t i = 1; i < places.size(); ++i) EXPECT_GE(places[i] - places[i - 1], 16.9);
}

TEST(SvgTest, BoundsAtZeroDoNotBreakALogarithmicAxis) {
  XyPlot plot = two_curves();
  plot.y.is_log = true;
  plot.series[0].points[0].bounds = Bounds{0, 3};
  EXPECT_HAS(draw_svg(figure_with(plot), Layout::kWide), "</svg>");
}

TEST(SvgTest, BarsBeginAtZero) {
  const RowPlot plot{
      .x = {"f1", Unit::kNumber},
      .has_bars = true,
      .rows = {{.group = "hotpotqa", .name = "full", .look = {0, 0}, .value = 0.5, .text = "0.500"},
               {.group = "hotpotqa",
                .name = "dsrasq",
                .look = {1, 0},
                .value = 0.25,
                .bounds = Bounds{0.2, 0.3},
                .text = "0.250"}}};
  const std::string svg = draw_svg(figure_with(plot), Layout::kWide);
  const std::vector<double> x = numbers(svg, "bar", "x"), width = numbers(svg, "bar", "width");
  ASSERT_EQ(x.size(), 2u);
  EXPECT_EQ(x[0], x[1]);
  EXPECT_NEAR(width[0], 2 * width[1], 0.02);
  EXPECT_EQ(count(svg, ">hotpotqa<"), 1u);
}

TEST(SvgTest, CellsShowTheirShare) {
  const HeatMap plot{.x_title = "tokens",
                     .y_title = "depth",
                     .rows = {"0 to 50 %", "50 to 100 %"},
                     .columns = {{"full", "8,000", {HeatMap::Cell{0.5, "1/2"}, std::nullopt}}}};
  const std::string svg = draw_svg(figure_with(plot), Layout::kNarrow);
  EXPECT_HAS(svg, ">1/2<");
  EXPECT_HAS(svg, "fill-opacity=\"0.28\"");
  EXPECT_EQ(count(svg, "class=\"empty\""), 1u);
}

TEST(SvgTest, PassagesStayOnTheirTrack) {
  const TrackPlot plot{.x_title = "bytes",
                       .tracks = {{.name = "Who?",
                                   .text = "found",
                                   .length = 1000,
                                   .spans = {{500, 510, 1}, {999, 1000, 0.5}}}}};
  const std::string svg = draw_svg(figure_with(plot), Layout::kWide);
  EXPECT_HAS(svg, "x=\"380\"");  // the middle
  EXPECT_HAS(svg, "x=\"757\"");  // three px wide at least, and not beyond the end
}

TEST(SvgTest, FilesBringTheirStyle) {
  const std::string svg = svg_file(figure_with(two_curves()));
  EXPECT_EQ(svg.find("<?xml"), 0u);
  EXPECT_HAS(svg, "<style>");
  EXPECT_HAS(svg, "viewBox=\"-16 -16 792 ");
  EXPECT_HAS(svg, "prefers-color-scheme:dark");
}

TEST(HtmlPageTest, ThePageIsComplete) {
  const ResultFile file{
      .path = "a&b.json", .stem = "a&b", .options = {}, .result = PerplexityResult{}};
  Section section{"s", "Section", {}, {"No KL from <a>."}};
  section.figures.push_back(figure_with(two_curves()));
  section.figures[0].sources = {&file};
  const std::string page = html_page("Title & more", {file}, {section});
  for (const char* part :
       {"<title>Title &amp; more</title>", "href=\"#s\"", "No KL from &lt;a&gt;.",
        ">&lt;b&gt;</td>", "a&amp;b.json", "<th class=\"number\">tokens</th>",
        "does not hold the configuration", "id=\"f-wide-title\"", "id=\"f-narrow-title\""})
    EXPECT_HAS(page, part);
  EXPECT_EQ(page.find(">KL<"), std::string::npos);  // an empty column
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("src="), std::string::npos);
}

}  // namespace
}  // namespace dsrasq::report
