// dsrasq report: plots and tables of result files, as one HTML page.

#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "cli/command.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/report/html_page.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/svg.h"

namespace dsrasq::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kInReport = "cli.report";

struct ReportConfig {
  std::vector<std::string> results;
  std::string output, svg;
  std::string title = "DS-RASQ: results";

  template <class V>
  void visit(V&& v) {
    v(results, "RESULTS", "files that eval, bench or ask wrote with --json, tables of sweep");
    v(output, "output", "the HTML file to write");
    v(svg, "svg", "a folder that gets each plot as a file of its own too");
    v(title, "title", "of the page");
  }
};

std::vector<report::ResultFile> read_results(const std::vector<std::string>& paths) {
  std::vector<report::ResultFile> files;
  std::set<fs::path> seen;
  for (const std::string& path : paths) {
    DSRASQ_CHECK(seen.insert(fs::path(path).lexically_normal()).second, kInvalidArgument, kInReport,
                 path, " is named twice");
    files.push_back(report::read_result(path));
  }
  report::tell_apart(files);
  return files;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  DSRASQ_CHECK(!error && fs::is_directory(folder), kOutput, kInReport, folder.string(),
               ": the folder cannot be made", error ? ": " + error.message() : "");
}

Json report(const ReportConfig& config, const Console& console) {
  DSRASQ_CHECK(!config.results.empty(), kInvalidArgument, kInReport,
               "want dsrasq report RESULT...");
  DSRASQ_CHECK(!config.output.empty(), kInvalidArgument, kInReport, "want -o FILE.html");
  const std::vector<report::ResultFile> files = read_results(config.results);
  const std::vector<report::Section> sections = report::make_sections(files);
  Json figures = Json::array(), missing = Json::array(), kinds = Json::array();
  for (const report::ResultFile& file : files)
    kinds.push_back({{"file", file.path}, {"holds", report::kind_name(file)}});
  if (!config.svg.empty()) make_folder(config.svg);
  for (const report::Section& section : sections) {
    for (const report::Figure& figure : section.figures) {
      Json line{{"id", figure.id}, {"title", figure.title}};
      if (!config.svg.empty()) {
        const fs::path path = fs::path(config.svg) / (figure.id + ".svg");
        write_file(path, report::svg_file(figure));
        line["svg"] = path.string();
      }
      figures.push_back(std::move(line));
    }
    for (const std::string& sentence : section.missing) missing.push_back(sentence);
  }
  write_file(config.output, report::html_page(config.title, files, sections));
  write_config(config.output, config);
  Json result{{"report", config.output},
              {"files", std::move(kinds)},
              {"figures", std::move(figures)},
              {"missing", std::move(missing)}};
  console.result_lines(result);
  return result;
}

}  // namespace

Command report_command() {
  return make_command<ReportConfig>({"report", "plots and tables of result files, as one HTML page",
                                     "  dsrasq report docs/results/*.json -o report.html\n"
                                     "  dsrasq eval needle --text book.txt --json > needle.json && "
                                     "dsrasq report needle.json -o needle.html --svg plots\n"},
                                    report);
}

}  // namespace dsrasq::cli
