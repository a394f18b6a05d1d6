#include "dsrasq/report/svg.h"

#include <algorithm>

#include "dsrasq/core/error.h"

namespace dsrasq::report {
namespace {

constexpr double kWidePx = 760, kNarrowPx = 350;
constexpr double kMargin = 16;  // of files, which have no page around them

// After Okabe and Ito (2008), whose colours people with colour blindness can tell apart; darker on
// white, lighter on black, so that thin lines and text keep their contrast.
constexpr std::string_view kStyle = R"(svg.plot{font:12.5px system-ui,-apple-system,"Segoe UI",)"
                                    R"(Roboto,"Helvetica Neue",Arial,sans-serif}
svg.plot text{fill:#2b2b2b}
svg.plot text.dim{fill:#5c5c5c}
svg.plot text.strong{font-weight:600;paint-order:stroke;stroke:#fff;stroke-width:4px}
svg.plot text.own{fill:currentColor}
svg.plot .grid{stroke:#e3e3e3}
svg.plot .axis{stroke:#8a8a8a}
svg.plot .lead{stroke:currentColor;stroke-opacity:.45}
svg.plot .curve{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}
svg.plot .level{stroke:currentColor;stroke-width:1.5;stroke-dasharray:1.5 4;stroke-linecap:round}
svg.plot .whisker{stroke:currentColor;stroke-width:1.5}
svg.plot .band{fill:currentColor;fill-opacity:.14;stroke:none}
svg.plot .bar{fill:currentColor;fill-opacity:.35}
svg.plot .mark{fill:currentColor;stroke:#fff;stroke-width:1}
svg.plot .track{fill:#ececec}
svg.plot .empty{fill:none;stroke:#d5d5d5;stroke-dasharray:3 3}
svg.plot .frame{fill:none;stroke:#b5b5b5}
svg.plot .c0{color:#222222}
svg.plot .c1{color:#0067a3}
svg.plot .c2{color:#00805b}
svg.plot .c3{color:#a03c82}
svg.plot .c4{color:#6e6e6e}
svg.plot .c5{color:#a86400}
svg.plot .c6{color:#c23b00}
svg.plot .c7{color:#6f6600}
svg.plot .c8{color:#5a43c4}
svg.plot .c9{color:#007782}
svg.plot .c10{color:#8a4b2a}
svg.plot .c11{color:#b0245a}
@media screen and (prefers-color-scheme:dark){
svg.plot text{fill:#e6e6e6}
svg.plot text.dim{fill:#a9adb2}
svg.plot text.own{fill:currentColor}
svg.plot text.strong{stroke:#16181b}
svg.plot .grid{stroke:#33373c}
svg.plot .axis{stroke:#7d838a}
svg.plot .mark{stroke:#16181b}
svg.plot .track{fill:#2a2e33}
svg.plot .empty{stroke:#454a50}
svg.plot .frame{stroke:#5a6067}
svg.plot .c0{color:#f0f0f0}
svg.plot .c1{color:#5db8ec}
svg.plot .c2{color:#2fc99a}
svg.plot .c3{color:#e596c8}
svg.plot .c4{color:#a6a6a6}
svg.plot .c5{color:#efab3c}
svg.plot .c6{color:#ff8a5c}
svg.plot .c7{color:#e3d84e}
svg.plot .c8{color:#aca0ff}
svg.plot .c9{color:#4fd0dc}
svg.plot .c10{color:#d9a184}
svg.plot .c11{color:#ff86b0}
}
)";

double width_of(Layout layout) { return layout == Layout::kWide ? kWidePx : kNarrowPx; }

std::string draw(const Figure& figure, Layout layout, std::string_view style) {
  const bool is_narrow = layout == Layout::kNarrow;
  Markup body;
  const double height = std::visit(
      [&](const auto& plot) {
        return draw_plot(plot, Canvas{body, width_of(layout), is_narrow});
      },
      figure.plot);
  const std::string id = figure.id + (is_narrow ? "-narrow" : "-wide");
  const double margin = style.empty() ? 0 : kMargin;
  const std::string width_text = px(width_of(layout) + 2 * margin);
  const std::string height_text = px(height + 2 * margin);
  Markup out;
  out.open("svg",
           {{"xmlns", "http://www.w3.org/2000/svg"},
            {"class", is_narrow ? "plot narrow" : "plot wide"},
            {"viewBox", concat(px(-margin), ' ', px(-margin), ' ', width_text, ' ', height_text)},
            {"width", width_text},
            {"height", height_text},
            {"role", "img"},
            {"aria-labelledby", id + "-title " + id + "-desc"}});
  out.element("title", {{"id", id + "-title"}}, figure.title);
  out.element("desc", {{"id", id + "-desc"}}, figure.caption);
  if (!style.empty()) {
    out.element("style", {}, style);
    out.leaf("rect", {{"class", "paper"},
                      {"x", px(-margin)},
                      {"y", px(-margin)},
                      {"width", width_text},
                      {"height", height_text}});
  }
  out.raw(body.take());
  out.close();
  return out.take();
}

}  // namespace

std::string_view svg_style() { return kStyle; }

std::string colour_class(const Look& look) { return concat('c', look.colour); }

std::string draw_svg(const Figure& figure, Layout layout) { return draw(figure, layout, {}); }

std::string svg_file(const Figure& figure) {
  const std::string style =
      concat(".paper{fill:#fff}\n", kStyle,
             "@media screen and (prefers-color-scheme:dark){.paper{fill:#16181b}}\n");
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + draw(figure, Layout::kWide, style);
}

void draw_text(Markup& out, double x, double y, std::string_view anchor, std::string_view text,
               std::string_view style) {
  Attributes attributes{{"x", px(x)}, {"y", px(y)}};
  if (anchor != "start") attributes.emplace_back("text-anchor", std::string(anchor));
  if (!style.empty()) attributes.emplace_back("class", std::string(style));
  out.element("text", attributes, text);
}

void draw_line(Markup& out, double x1, double y1, double x2, double y2, std::string_view style) {
  out.leaf("line", {{"class", std::string(style)},
                    {"x1", px(x1)},
                    {"y1", px(y1)},
                    {"x2", px(x2)},
                    {"y2", px(y2)}});
}

void draw_mark(Markup& out, double x, double y, int mark) {
  constexpr double kRadius = 4.5;
  const auto corners = [&](std::initializer_list<std::pair<double, double>> places) {
    std::string points;
    for (const auto& [dx, dy] : places)
      points += px(x + dx * kRadius) + ',' + px(y + dy * kRadius) + ' ';
    out.leaf("polygon", {{"class", "mark"}, {"points", points}});
  };
  switch (mark % 4) {
    case 0:
      out.leaf("circle", {{"class", "mark"}, {"cx", px(x)}, {"cy", px(y)}, {"r", px(kRadius)}});
      return;
    case 1: return corners({{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}});
    case 2: return corners({{0, -1.15}, {1.1, 0.85}, {-1.1, 0.85}});
    default: return corners({{0, -1.25}, {1.25, 0}, {0, 1.25}, {-1.25, 0}});
  }
}

Axis make_axis(const AxisSpec& spec, double low, double high, int n_ticks) {
  if (spec.is_log && low > 0) return log_axis(low, high, n_ticks, spec.unit);
  return linear_axis(low, high, n_ticks, spec.unit);
}

}  // namespace dsrasq::report
