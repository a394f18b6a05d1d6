// Texts as tracks from their first byte to their last, with marks where something was read.

#include <algorithm>

#include "dsrasq/report/svg.h"

namespace dsrasq::report {

double draw_plot(const TrackPlot& plot, const Canvas& canvas) {
  constexpr double kTrack = 14, kRow = 44, kLeastMark = 3, kFaintest = 0.3;
  Markup& out = canvas.out;
  double y = 0;
  for (const TrackPlot::Track& track : plot.tracks) {
    const double text = text_width(track.text, kFontPx);
    const auto room = static_cast<size_t>((canvas.width - text - 16) / (0.56 * kFontPx));
    draw_text(out, 0, y + 14, "start", shortened(track.name, std::max<size_t>(room, 4)));
    draw_text(out, canvas.width, y + 14, "end", track.text, "dim");
    out.leaf("rect", {{"class", "track"},
                      {"x", "0"},
                      {"y", px(y + 21)},
                      {"width", px(canvas.width)},
                      {"height", px(kTrack)}});
    out.open("g", {{"class", "c1"}});
    for (const TrackPlot::Span& span : track.spans) {
      const double x = canvas.width * span.start / track.length;
      const double width =
          std::max(canvas.width * (span.end - span.start) / track.length, kLeastMark);
      out.leaf("rect", {{"fill", "currentColor"},
                        {"fill-opacity", px(kFaintest + (1 - kFaintest) * span.weight)},
                        {"x", px(std::min(x, canvas.width - width))},
                        {"y", px(y + 18)},
                        {"width", px(width)},
                        {"height", px(kTrack + 6)}});
    }
    out.close();
    y += kRow;
  }
  draw_text(out, canvas.width / 2, y + 14, "middle", plot.x_title);
  return y + 24;
}

}  // namespace dsrasq::report
