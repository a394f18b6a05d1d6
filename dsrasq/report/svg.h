#pragma once

// Figures as SVG. Every plot is drawn twice for a page, for wide and for narrow screens: scaled
// text would be too small on one of them.

#include <string>
#include <string_view>

#include "dsrasq/report/figure.h"
#include "dsrasq/report/markup.h"

namespace dsrasq::report {

enum class Layout { kWide, kNarrow };

/// `<svg>` with the figure's title and caption for who cannot see it. Colours are classes, which
/// `svg_style` defines.
std::string draw_svg(const Figure& figure, Layout layout);

/// The figure as a file of its own, with its style.
std::string svg_file(const Figure& figure);

/// CSS of everything that plots are made of, for light and dark.
std::string_view svg_style();

/// The class of a look's colour, "c3".
std::string colour_class(const Look& look);

/// A plot inside an `<svg>` of `width`; `draw_*` return its height.
struct Canvas {
  Markup& out;
  double width = 0;
  bool is_narrow = false;
};
double draw_plot(const XyPlot& plot, const Canvas& canvas);
double draw_plot(const RowPlot& plot, const Canvas& canvas);
double draw_plot(const HeatMap& plot, const Canvas& canvas);
double draw_plot(const TrackPlot& plot, const Canvas& canvas);

/// Size of the text in plots, px.
constexpr double kFontPx = 12.5;

/// A text at a place; `anchor` is start, middle or end.
void draw_text(Markup& out, double x, double y, std::string_view anchor, std::string_view text,
               std::string_view style = "");
void draw_line(Markup& out, double x1, double y1, double x2, double y2, std::string_view style);
/// The mark of a series: circle, square, triangle or diamond, in the colour of its group.
void draw_mark(Markup& out, double x, double y, int mark);

/// The axis for values from `low` to `high`, as the specification wants it.
Axis make_axis(const AxisSpec& spec, double low, double high, int n_ticks);

}  // namespace dsrasq::report
