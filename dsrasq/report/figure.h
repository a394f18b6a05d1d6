#pragma once

// What a figure shows, before it is drawn: a plot of one of four kinds, and the table under it.

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dsrasq/report/axis.h"
#include "dsrasq/report/result_file.h"

namespace dsrasq::report {

/// How a series looks: the number of its colour (policy_family.h), and a mark and dash that tell
/// series of one colour apart.
struct Look {
  int colour = 0;
  int mark = 0;
};

struct AxisSpec {
  std::string title;
  Unit unit = Unit::kNumber;
  bool is_log = false;
};

struct Series {
  struct Point {
    double x = 0, y = 0;
    std::optional<Bounds> bounds{};  ///< of y
  };
  std::string name;
  Look look;
  std::vector<Point> points;  ///< by x
};

/// Curves through points, with lines across the plot for what has no x.
struct XyPlot {
  struct Level {
    std::string name;
    Look look;
    double y = 0;
  };
  AxisSpec x, y;
  std::vector<Series> series;
  std::vector<Level> levels;
};

/// One line for each value: a bar or a point, its interval, and the value in words.
struct RowPlot {
  struct Row {
    std::string group;  ///< written above its first row
    std::string name;
    Look look;
    double value = 0;
    std::optional<Bounds> bounds{};
    std::string text;
  };
  AxisSpec x;
  bool has_bars = false;
  std::vector<Row> rows;
};

/// Shares by column and row, from 0 to 1, which are shown as shades.
struct HeatMap {
  struct Cell {
    double share = 0;
    std::string text;
  };
  struct Column {
    std::string group, name;
    std::vector<std::optional<Cell>> cells;  ///< by row; nothing where nothing was measured
  };
  std::string x_title, y_title;
  std::vector<std::string> rows;
  std::vector<Column> columns;
};

/// Where things lie along texts, one track above the other.
struct TrackPlot {
  struct Span {
    double start = 0, end = 0;
    double weight = 0;  ///< of the largest on its track, 0 to 1
  };
  struct Track {
    std::string name, text;
    double length = 1;
    std::vector<Span> spans;
  };
  std::string x_title;
  std::vector<Track> tracks;
};

using Plot = std::variant<XyPlot, RowPlot, HeatMap, TrackPlot>;

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct Figure {
  std::string id;       ///< for links and names of files: letters, digits and hyphens
  std::string title;    ///< says what is shown
  std::string caption;  ///< how to read it, and what to be careful about
  Plot plot;
  Table table;
  std::vector<const ResultFile*> sources;
};

/// Figures of one kind of result, and sentences about what the files do not hold.
struct Section {
  std::string id, title;
  std::vector<Figure> figures;
  std::vector<std::string> missing;
};

}  // namespace dsrasq::report
