// Curves: in wide plots each is named at its end, in narrow ones above the plot.

#include <algorithm>
#include <cmath>

#include "dsrasq/report/svg.h"

namespace dsrasq::report {
namespace {

constexpr double kLine = 17;  // px from one line of text to the next
constexpr size_t kMostLabel = 40;

// What is named beside the plot.
struct Label {
  std::string text;
  Look look;
  double x = 0, y = 0;  // where it belongs
  bool is_level = false;
  double at = 0;  // where it is written
};

struct Frame {
  double left = 0, right = 0, top = 0, bottom = 0;
  Axis x_axis, y_axis;

  double x(double value) const { return left + x_axis.place(value) * (right - left); }
  // Where a bound is beyond the axis, it is drawn to its end.
  double y(double value) const {
    const double shown = std::clamp(value, y_axis.low, y_axis.high);
    return bottom - y_axis.place(shown) * (bottom - top);
  }
};

// Moves labels apart, each as little as needed, within the plot's height.
void spread(std::vector<Label>& labels, double top, double bottom) {
  std::stable_sort(labels.begin(), labels.end(),
                   [](const Label& a, const Label& b) { return a.y < b.y; });
  double least = top;
  for (Label& label : labels) {
    label.at = std::max(label.y, least);
    least = label.at + kLine;
  }
  double most = bottom;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->at = std::min(label->at, most);
    most = label->at - kLine;
  }
}

template <class Use>
void for_each_value(const XyPlot& plot, const Use& use) {
  for (const Series& series : plot.series)
    for (const Series::Point& point : series.points) {
      use(point.x, point.y);
      if (point.bounds) use(point.x, point.bounds->low), use(point.x, point.bounds->high);
    }
}

void set_axes(const XyPlot& plot, bool is_narrow, Frame& frame) {
  double x_low = HUGE_VAL, x_high = -HUGE_VAL, y_low = HUGE_VAL, y_high = -HUGE_VAL;
  const auto add_y = [&](double y) {
    // A bound at zero has no place on a logarithmic axis.
    if (plot.y.is_log && y <= 0) return;
    y_low = std::min(y_low, y), y_high = std::max(y_high, y);
  };
  for_each_value(plot, [&](double x, double y) {
    x_low = std::min(x_low, x), x_high = std::max(x_high, x);
    add_y(y);
  });
  for (const XyPlot::Level& level : plot.levels) add_y(level.y);
  if (plot.y.unit == Unit::kShare) y_low = 0, y_high = 1;
  frame.x_axis = make_axis(plot.x, x_low, x_high, is_narrow ? 4 : 7);
  frame.y_axis = make_axis(plot.y, y_low, y_high, is_narrow ? 5 : 6);
}

void draw_axes(const XyPlot& plot, const Frame& frame, Markup& out) {
  for (const double tick : frame.y_axis.ticks) {
    draw_line(out, frame.left, frame.y(tick), frame.right, frame.y(tick), "grid");
    draw_text(out, frame.left - 7, frame.y(tick) + 4, "end", tick_text(frame.y_axis, tick), "dim");
  }
  for (const double tick : frame.x_axis.ticks) {
    draw_line(out, frame.x(tick), frame.bottom, frame.x(tick), frame.bottom + 5, "axis");
    draw_text(out, frame.x(tick), frame.bottom + 19, "middle", tick_text(frame.x_axis, tick),
              "dim");
  }
  draw_line(out, frame.left, frame.bottom, frame.right, frame.bottom, "axis");
  draw_text(out, (frame.left + frame.right) / 2, frame.bottom + 38, "middle", plot.x.title);
}

void draw_band(const Series& series, const Frame& frame, Markup& out) {
  std::string high, low;
  for (const Series::Point& point : series.points) {
    if (!point.bounds) return;
    const std::string x = px(frame.x(point.x)) + ',';
    high += x + px(frame.y(point.bounds->high)) + ' ';
    low.insert(0, x + px(frame.y(point.bounds->low)) + ' ');
  }
  out.leaf("polygon", {{"class", "band"}, {"points", high + low}});
}

void draw_series(const Series& series, const Frame& frame, Markup& out) {
  constexpr const char* kDashes[] = {"", "7 4", "2 3", "9 3 2 3"};
  out.open("g", {{"class", colour_class(series.look)}});
  if (series.points.size() > 1) {
    draw_band(series, frame, out);
    std::string places;
    for (const Series::Point& point : series.points)
      places += px(frame.x(point.x)) + ',' + px(frame.y(point.y)) + ' ';
    Attributes attributes{{"class", "curve"}, {"points", places}};
    if (const char* dash = kDashes[series.look.mark % 4]; *dash != '\0')
      attributes.emplace_back("stroke-dasharray", dash);
    out.leaf("polyline", attributes);
  }
  for (const Series::Point& point : series.points) {
    if (point.bounds)
      draw_line(out, frame.x(point.x), frame.y(point.bounds->low), frame.x(point.x),
                frame.y(point.bounds->high), "whisker");
    draw_mark(out, frame.x(point.x), frame.y(point.y), series.look.mark);
  }
  out.close();
}

std::vector<Label> labels_of(const XyPlot& plot, const Frame& frame) {
  std::vector<Label> labels;
  for (const XyPlot::Level& level : plot.levels)
    labels.push_back({.text = level.name,
                      .look = level.look,
                      .x = frame.right,
                      .y = frame.y(level.y),
                      .is_level = true});
  for (const Series& series : plot.series)
    labels.push_back({.text = series.name,
                      .look = series.look,
                      .x = frame.x(series.points.back().x),
                      .y = frame.y(series.points.back().y)});
  return labels;
}

void draw_labels_beside(std::vector<Label> labels, const Frame& frame, Markup& out) {
  spread(labels, frame.top, frame.bottom);
  for (const Label& label : labels) {
    out.open("g", {{"class", colour_class(label.look)}});
    const double end = frame.right + 16;
    draw_line(out, label.x + (label.is_level ? 0 : 7), label.y, frame.right + 4, label.y, "lead");
    draw_line(out, frame.right + 4, label.y, end - 3, label.at, "lead");
    draw_text(out, end, label.at + 4, "start", shortened(label.text, kMostLabel), "own");
    out.close();
  }
}

void draw_labels_above(const std::vector<Label>& labels, double top, Markup& out) {
  for (const Label& label : labels) {
    out.open("g", {{"class", colour_class(label.look)}});
    if (label.is_level)
      draw_line(out, 2, top, 24, top, "level");
    else
      draw_mark(out, 13, top, label.look.mark);
    draw_text(out, 31, top + 4, "start", shortened(label.text, kMostLabel + 8), "own");
    out.close();
    top += kLine;
  }
}

double widest(const XyPlot& plot) {
  double width = 0;
  const auto add = [&](const std::string& name) {
    width = std::max(width, text_width(shortened(name, kMostLabel), kFontPx));
  };
  for (const Series& series : plot.series) add(series.name);
  for (const XyPlot::Level& level : plot.levels) add(level.name);
  return width;
}

}  // namespace

double draw_plot(const XyPlot& plot, const Canvas& canvas) {
  constexpr double kLeastHeight = 330, kNarrowHeight = 250, kTitle = 26, kUnder = 48;
  const double n_labels = static_cast<double>(plot.series.size() + plot.levels.size());
  const double wide_height = std::max(kLeastHeight, n_labels * kLine + kTitle);
  const double legend = canvas.is_narrow ? n_labels * kLine + 6 : 0;
  Frame frame;
  set_axes(plot, canvas.is_narrow, frame);
  double ticks = 0;
  for (const double tick : frame.y_axis.ticks)
    ticks = std::max(ticks, text_width(tick_text(frame.y_axis, tick), kFontPx));
  frame.left = ticks + 12;
  frame.right = canvas.width - (canvas.is_narrow ? 18 : widest(plot) + 22);
  frame.top = legend + kTitle;
  frame.bottom = frame.top + (canvas.is_narrow ? kNarrowHeight : wide_height) - kTitle;
  Markup& out = canvas.out;
  draw_text(out, 0, legend + 13, "start", plot.y.title);
  draw_axes(plot, frame, out);
  for (const XyPlot::Level& level : plot.levels) {
    out.open("g", {{"class", colour_class(level.look)}});
    draw_line(out, frame.left, frame.y(level.y), frame.right, frame.y(level.y), "level");
    out.close();
  }
  for (const Series& series : plot.series) draw_series(series, frame, out);
  const std::vector<Label> labels = labels_of(plot, frame);
  if (canvas.is_narrow)
    draw_labels_above(labels, 8, out);
  else
    draw_labels_beside(labels, frame, out);
  return frame.bottom + kUnder;
}

}  // namespace dsrasq::report
