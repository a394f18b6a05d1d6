#include <algorithm>
#include <filesystem>

#include "dsrasq/report/sections.h"
#include "dsrasq/report/test_results.h"

namespace dsrasq::report {
namespace {

class PerplexitySectionTest : public ResultTest {
 protected:
  // A file of folder `name` with full attention and these rows.
  ResultFile file(const std::string& name, const std::string& rows,
                  const std::string& adapter = "x") const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    return result(name, perplexity_json(perplexity_row("full", 27, 0) + ',' + rows,
                                        concat(R"("text": ["t"], "retrieve": "auto", "adapter": ")",
                                               adapter, '"')));
  }
  static const Figure& by_retrieved(const Section& section) {
    const auto found =
        std::find_if(section.figures.begin(), section.figures.end(),
                     [](const Figure& figure) { return figure.id == "perplexity-retrieved"; });
    EXPECT_NE(found, section.figures.end());
    return *found;
  }
  // "name: n points" of each curve.
  static std::vector<std::string> curves(const Figure& figure) {
    std::vector<std::string> out;
    for (const Series& series : std::get<XyPlot>(figure.plot).series)
      out.push_back(concat(series.name, ": ", series.points.size()));
    return out;
  }
};

using Names = std::vector<std::string>;

TEST_F(PerplexitySectionTest, TheFilesOfAFolderAreOneCurveForEachFamily) {
  const std::vector<ResultFile> files{
      file("sizes/a.json", perplexity_row("dsrasq:topk=16", 28.4, 15) + ',' +
                               perplexity_row("dsrasq:topk=64", 28.2, 60)),
      file("sizes/b.json", perplexity_row("dsrasq:topk=32", 28.3, 30)),
      file("sizes/c.json", perplexity_row("dsrasq:min-share=1e-3", 28.1, 20)),
      file("sizes/d.json", perplexity_row("dsrasq:retrieve=budget", 28.1, 25), "y"),
      file("sizes/e.json", perplexity_row("dsrasq:retrieve=budget", 28.0, 35), "z")};
  const Section section = perplexity_section(files);
  const Figure& figure = by_retrieved(section);
  EXPECT_EQ(curves(figure), (Names{"dsrasq: 3", "dsrasq threshold: 1", "dsrasq budget: 2"}));
  const auto& points = std::get<XyPlot>(figure.plot).series[0].points;
  EXPECT_EQ(points[1].x, 30);  // from the other file, in its place
}

TEST_F(PerplexitySectionTest, OtherFoldersAndRepeatedPoliciesAreCurvesOfTheirOwn) {
  const std::string rows =
      perplexity_row("dsrasq:topk=16", 28.4, 15) + ',' + perplexity_row("dsrasq:topk=64", 28.2, 60);
  const std::string better =
      perplexity_row("dsrasq:topk=16", 27.9, 15) + ',' + perplexity_row("dsrasq:topk=64", 27.6, 60);
  const std::vector<ResultFile> files{file("one/a.json", rows), file("one/b.json", better),
                                      file("two/c.json", better),
                                      file("two/d.json", perplexity_row("oracle", 27.5, 15))};
  const Section section = perplexity_section(files);
  EXPECT_EQ(curves(by_retrieved(section)),
            (Names{"dsrasq, a: 2", "dsrasq: 2", "oracle, two: 1"}));  // two of them are alike
}

TEST_F(PerplexitySectionTest, AnotherPoolIsNoPointOfTheCurve) {
  const std::vector<ResultFile> files{
      file("a.json", perplexity_row("dsrasq:topk=64", 28.5, 60) + ',' +
                         perplexity_row("dsrasq:topk=64:pool=9", 28, 60))};
  const Section section = perplexity_section(files);
  EXPECT_EQ(curves(by_retrieved(section)), (Names{"dsrasq: 1", "dsrasq:pool=9: 1"}));
}

TEST_F(PerplexitySectionTest, BlindChoicesDoNotSetTheScale) {
  const std::string rows = perplexity_row("dsrasq:topk=16", 28, 15) + ',' +
                           perplexity_row("dsrasq:topk=64", 27.5, 60) + ',';
  const auto section_of = [&](double random) {
    return std::vector<ResultFile>{
        file("a.json", rows + perplexity_row("random:topk=16", random, 15) + ',' +
                           perplexity_row("random:topk=64", random - 0.125, 60) + ',' +
                           perplexity_row("window", random + 1, 0))};
  };
  std::vector<ResultFile> files = section_of(30);
  Section section = perplexity_section(files);
  EXPECT_EQ(curves(by_retrieved(section)), (Names{"dsrasq: 2"}));
  EXPECT_EQ(std::get<XyPlot>(by_retrieved(section).plot).levels.size(), 1u);
  EXPECT_HAS(by_retrieved(section).caption,
             "Far above the others and not drawn: window 31; random 29.9 to 30.");
  files = section_of(28.0);
  section = perplexity_section(files);
  EXPECT_EQ(curves(by_retrieved(section)), (Names{"dsrasq: 2", "random: 2"}));
}

}  // namespace
}  // namespace dsrasq::report
