// Values one below the other: names left, the value in words right; in narrow plots both stand
// above the bar.

#include <algorithm>

#include "dsrasq/report/svg.h"

namespace dsrasq::report {
namespace {

constexpr double kGap = 12, kMostName = 250;
constexpr size_t kMostCharacters = 34;

struct Columns {
  double left = 0, right = 0;  // of the part with the axis
  double row = 26;             // height
  Axis axis;

  double x(double value) const { return left + axis.place(value) * (right - left); }
};

Axis axis_of(const RowPlot& plot, bool is_narrow) {
  double low = plot.has_bars || plot.x.unit == Unit::kPercent ? 0 : plot.rows.front().value;
  double high = low;
  for (const RowPlot::Row& row : plot.rows) {
    low = std::min({low, row.value, row.bounds ? row.bounds->low : row.value});
    high = std::max({high, row.value, row.bounds ? row.bounds->high : row.value});
  }
  if (plot.x.unit == Unit::kShare) low = std::min(low, 0.0), high = std::max(high, 1.0);
  return make_axis(plot.x, low, high, is_narrow ? 4 : 6);
}

Columns columns_of(const RowPlot& plot, const Canvas& canvas) {
  Columns columns{.axis = axis_of(plot, canvas.is_narrow)};
  if (canvas.is_narrow) {
    columns.left = 12, columns.right = canvas.width - 24, columns.row = 42;
    return columns;
  }
  double names = 0, texts = 0;
  for (const RowPlot::Row& row : plot.rows) {
    names = std::max(names, text_width(shortened(row.name, kMostCharacters), kFontPx));
    texts = std::max(texts, text_width(row.text, kFontPx));
  }
  columns.left = std::min(names, kMostName) + 2 * kGap;
  columns.right = canvas.width - texts - 2 * kGap;
  return columns;
}

void draw_value(const RowPlot& plot, const RowPlot::Row& row, const Columns& columns, double y,
                Markup& out) {
  const double x = columns.x(row.value);
  out.open("g", {{"class", colour_class(row.look)}});
  if (plot.has_bars) {
    const double zero = columns.x(0);
    out.leaf("rect", {{"class", "bar"},
                      {"x", px(std::min(x, zero))},
                      {"y", px(y - 6)},
                      {"width", px(std::abs(x - zero))},
                      {"height", "12"}});
  }
  if (row.bounds) {
    const double low = columns.x(row.bounds->low), high = columns.x(row.bounds->high);
    draw_line(out, low, y, high, y, "whisker");
    for (const double end : {low, high}) draw_line(out, end, y - 4, end, y + 4, "whisker");
  }
  if (!plot.has_bars || row.bounds) draw_mark(out, x, y, row.look.mark);
  out.close();
}

// In narrow plots, where name and text share a line: characters.
size_t room_for_name(const RowPlot::Row& row, const Canvas& canvas) {
  const double room = canvas.width - text_width(row.text, kFontPx) - 3 * kGap;
  return static_cast<size_t>(std::max(room / (0.6 * kFontPx), 8.0));
}

// Returns where the last row ends.
double draw_rows(const RowPlot& plot, const Columns& columns, const Canvas& canvas) {
  double y = 0;
  const std::string* group = nullptr;
  for (const RowPlot::Row& row : plot.rows) {
    if (!row.group.empty() && (group == nullptr || *group != row.group)) {
      y += 24;
      draw_text(canvas.out, 0, y - 5, "start", shortened(row.group, canvas.is_narrow ? 46 : 90),
                "strong");
    }
    group = &row.group;
    const std::string name = shortened(row.name, kMostCharacters);
    const double middle = y + (canvas.is_narrow ? 28 : columns.row / 2);
    const double text = canvas.is_narrow ? y + 14 : middle + 4;
    if (canvas.is_narrow)
      draw_text(canvas.out, columns.left, text, "start",
                shortened(row.name, room_for_name(row, canvas)));
    else
      draw_text(canvas.out, columns.left - kGap, text, "end", name);
    draw_text(canvas.out, canvas.width - (canvas.is_narrow ? 6 : 0), text, "end", row.text, "dim");
    draw_line(canvas.out, columns.left, middle, columns.right, middle, "grid");
    if (columns.axis.low < 0) {
      const double reach = canvas.is_narrow ? 9 : columns.row / 2;
      draw_line(canvas.out, columns.x(0), middle - reach, columns.x(0), middle + reach, "axis");
    }
    draw_value(plot, row, columns, middle, canvas.out);
    y += columns.row;
  }
  return y;
}

}  // namespace

double draw_plot(const RowPlot& plot, const Canvas& canvas) {
  const Columns columns = columns_of(plot, canvas);
  const double end = draw_rows(plot, columns, canvas) + 4;
  Markup& out = canvas.out;
  draw_line(out, columns.left, end, columns.right, end, "axis");
  for (const double tick : columns.axis.ticks) {
    const double x = columns.x(tick);
    draw_line(out, x, end, x, end + 5, "axis");
    draw_text(out, x, end + 19, "middle", tick_text(columns.axis, tick), "dim");
  }
  draw_text(out, (columns.left + columns.right) / 2, end + 38, "middle", plot.x.title);
  return end + 48;
}

}  // namespace dsrasq::report
