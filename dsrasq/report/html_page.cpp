#include "dsrasq/report/html_page.h"

#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/report/page_style.h"
#include "dsrasq/report/svg.h"

namespace dsrasq::report {
namespace {

bool is_number(const std::string& cell) {
  const size_t sign = cell.starts_with('+') || cell.starts_with('-') ? 1 : 0;
  return cell.size() > sign && cell[sign] >= '0' && cell[sign] <= '9';
}

// The class of a column: numbers stand right, long texts may break. Nothing for an empty column,
// which is left out.
std::optional<std::string> column_class(const Table& table, size_t column) {
  constexpr size_t kLong = 48;
  bool is_empty = true, has_words = false, is_long = false;
  for (const auto& row : table.rows) {
    const std::string& cell = row[column];
    is_empty = is_empty && cell.empty();
    has_words = has_words || (!cell.empty() && !is_number(cell));
    is_long = is_long || cell.size() > kLong;
  }
  if (is_empty) return std::nullopt;
  return is_long ? "long" : has_words ? "word" : "number";
}

void write_table(const Table& table, Markup& out) {
  std::vector<std::optional<std::string>> classes;
  for (size_t i = 0; i < table.header.size(); ++i) classes.push_back(column_class(table, i));
  const auto write_row = [&](const std::vector<std::string>& cells, const char* element) {
    out.open("tr");
    for (size_t i = 0; i < cells.size(); ++i)
      if (classes[i]) out.element(element, {{"class", *classes[i]}}, cells[i]);
    out.close();
  };
  out.open("div", {{"class", "table"}});
  out.open("table");
  out.open("thead");
  write_row(table.header, "th");
  out.close();
  out.open("tbody");
  for (const auto& row : table.rows) write_row(row, "td");
  out.close();
  out.close();
  out.close();
}

// How a result was made: its command, or that the file does not say.
void write_source(const ResultFile& file, Markup& out) {
  out.element("p", {{"class", "file"}}, file.path);
  const std::string command = command_of(file);
  if (!command.empty()) {
    out.element("pre", {}, command);
    return;
  }
  if (file.options.empty()) {
    out.element("p", {}, "The file does not hold the configuration that made it.");
    return;
  }
  out.element("p", {}, "The file does not say which command made it. Its configuration:");
  std::string text;
  for (const Option& option : file.options) {
    text += option.name;
    for (const std::string& value : option.values) text += ' ' + value;
    text += '\n';
  }
  out.element("pre", {}, text);
}

void write_details(const char* summary, Markup& out) {
  out.open("details");
  out.element("summary", {}, summary);
}

void write_figure(const Figure& figure, Markup& out) {
  out.open("figure", {{"id", figure.id}});
  out.element("h3", {}, figure.title);
  out.raw(draw_svg(figure, Layout::kWide));
  out.raw(draw_svg(figure, Layout::kNarrow));
  out.element("figcaption", {}, figure.caption);
  write_details("Table", out);
  write_table(figure.table, out);
  out.close();
  write_details("How it was measured", out);
  for (const ResultFile* file : figure.sources) write_source(*file, out);
  out.close();
  out.close();
}

void write_section(const Section& section, Markup& out) {
  out.open("section", {{"id", section.id}});
  out.element("h2", {}, section.title);
  for (const Figure& figure : section.figures) write_figure(figure, out);
  if (!section.missing.empty()) {
    out.open("div", {{"class", "missing"}});
    out.element("h3", {}, "Not shown");
    out.open("ul");
    for (const std::string& line : section.missing) out.element("li", {}, line);
    out.close();
    out.close();
  }
  out.close();
}

void write_contents(const std::vector<Section>& sections, Markup& out) {
  out.open("nav", {{"aria-label", "Contents"}});
  out.open("ul");
  for (const Section& section : sections) {
    out.open("li");
    out.element("a", {{"href", "#" + section.id}}, section.title);
    out.close();
  }
  out.close();
  out.close();
}

void write_files(const std::vector<ResultFile>& files, Markup& out) {
  Table table{{"file", "holds"}, {}};
  for (const ResultFile& file : files) table.rows.push_back({file.path, kind_name(file)});
  out.open("section", {{"id", "files"}});
  out.element("h2", {}, "Files");
  out.element("p", {},
              "Every figure of this report was read from these files; none was made up or "
              "filled in.");
  write_table(table, out);
  out.close();
}

}  // namespace

std::string html_page(const std::string& title, const std::vector<ResultFile>& files,
                      const std::vector<Section>& sections) {
  Markup out;
  out.raw("<!DOCTYPE html>\n");
  out.open("html", {{"lang", "en"}});
  out.open("head");
  out.leaf("meta", {{"charset", "utf-8"}});
  out.leaf("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  out.leaf("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  out.element("title", {}, title);
  out.open("style");
  out.raw(svg_style());  // style sheets of ours: nothing to escape, and HTML would not undo it
  out.raw(page_style());
  out.close();
  out.close();
  out.open("body");
  out.open("main");
  out.element("h1", {}, title);
  out.element("p", {{"class", "lead"}},
              concat("Made by dsrasq report from ", files.size(),
                     files.size() == 1 ? " result file." : " result files."));
  write_contents(sections, out);
  for (const Section& section : sections) write_section(section, out);
  write_files(files, out);
  out.close();
  out.close();
  out.close();
  return out.take();
}

}  // namespace dsrasq::report
