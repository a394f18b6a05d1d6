// Shares as shades of one colour, with a number in every cell.

#include <algorithm>

#include "dsrasq/report/svg.h"

namespace dsrasq::report {
namespace {

constexpr double kRow = 26, kMostColumn = 96, kHead = 22, kLine = 17;
constexpr size_t kMostName = 34, kMostNarrowName = 18;  // of a row: characters
constexpr double kDarkest = 0.55;  // opacity: the count must stay readable on it

void draw_cell(const std::optional<HeatMap::Cell>& cell, double x, double y, double width,
               Markup& out) {
  Attributes box{
      {"x", px(x + 1)}, {"y", px(y + 1)}, {"width", px(width - 2)}, {"height", px(kRow - 2)}};
  if (!cell) {
    box.emplace_back("class", "empty");
    out.leaf("rect", box);
    return;
  }
  box.emplace_back("fill", "currentColor");
  box.emplace_back("fill-opacity", px(kDarkest * std::clamp(cell->share, 0.0, 1.0)));
  out.leaf("rect", box);
  box.resize(4);
  box.emplace_back("class", "frame");
  out.leaf("rect", box);
  draw_text(out, x + width / 2, y + kRow / 2 + 4.5, "middle", cell->text);
}

// Columns that belong together, and where their name stands.
struct Group {
  std::string name;
  double x = 0, room = 0;
};

std::vector<Group> groups_of(const HeatMap& plot, double left, double width) {
  std::vector<Group> groups;
  for (size_t i = 0; i < plot.columns.size(); ++i) {
    if (i == 0 || plot.columns[i - 1].group != plot.columns[i].group)
      groups.push_back({.name = plot.columns[i].group, .x = left + width * static_cast<double>(i)});
    groups.back().room += width;
  }
  return groups;
}

// The names in one line where each fits above its columns, else one below the other, with a line
// down to the first column. Returns where they end.
double draw_groups(std::vector<Group> groups, const Canvas& canvas) {
  const auto width_of = [](const Group& group) { return text_width(group.name, kFontPx); };
  groups.back().room = canvas.width - groups.back().x;
  const bool fit = std::all_of(groups.begin(), groups.end(),
                               [&](const Group& group) { return width_of(group) <= group.room; });
  const double n_lines = fit ? 1 : static_cast<double>(groups.size());
  const double end = kHead + n_lines * kLine;
  double y = kHead + kLine - 5;
  for (const Group& group : groups) {
    const bool is_at_edge = group.x + 4 + width_of(group) > canvas.width;
    draw_text(canvas.out, is_at_edge ? canvas.width : group.x + 4, y, is_at_edge ? "end" : "start",
              shortened(group.name, 44), "strong");
    if (!fit) {
      draw_line(canvas.out, group.x + 1, y + (is_at_edge ? 5 : -9), group.x + 1, end + kHead,
                "axis");
      y += kLine;
    }
  }
  return end;
}

}  // namespace

double draw_plot(const HeatMap& plot, const Canvas& canvas) {
  Markup& out = canvas.out;
  double left = 0;
  const size_t most = canvas.is_narrow ? kMostNarrowName : kMostName;
  for (const std::string& row : plot.rows)
    left = std::max(left, text_width(shortened(row, most), kFontPx));
  left += 12;
  const auto n_columns = static_cast<double>(plot.columns.size());
  const double width = std::min(kMostColumn, (canvas.width - left) / n_columns);
  draw_text(out, 0, 14, "start", plot.y_title);
  const double top = draw_groups(groups_of(plot, left, width), canvas) + kHead;
  for (size_t i = 0; i < plot.rows.size(); ++i)
    draw_text(out, left - 8, top + kRow * static_cast<double>(i) + kRow / 2 + 4.5, "end",
              shortened(plot.rows[i], most), "dim");
  out.open("g", {{"class", "c1"}});
  for (size_t i = 0; i < plot.columns.size(); ++i) {
    const HeatMap::Column& column = plot.columns[i];
    const double x = left + width * static_cast<double>(i);
    draw_text(out, x + width / 2, top - 6, "middle", column.name, "dim");
    for (size_t row = 0; row < column.cells.size(); ++row)
      draw_cell(column.cells[row], x, top + kRow * static_cast<double>(row), width, out);
  }
  out.close();
  const double bottom = top + kRow * static_cast<double>(plot.rows.size());
  draw_text(out, left, bottom + 20, "start", plot.x_title);
  return bottom + 30;
}

}  // namespace dsrasq::report
