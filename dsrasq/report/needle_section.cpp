#include <algorithm>
#include <cmath>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

constexpr int kBins = 10;

const NeedleResult& result_of(const ResultFile& file) {
  return std::get<NeedleResult>(file.result);
}

std::set<std::string> cells_of(const ResultFile& file) {
  std::set<std::string> cells;
  for (const auto& row : result_of(file).rows) cells.insert(concat(row.length, ' ', row.policy));
  return cells;
}

template <class Use>
void for_each_row(const Variant& variant, const Use& use) {
  for (const ResultFile* file : variant.files)
    for (const NeedleResult::Row& row : result_of(*file).rows) use(*file, row);
}

std::string percent(double share) { return fixed(100 * share, 0) + " %"; }

Figure by_length(const std::vector<Variant>& variants, const FileList& sources) {
  XyPlot plot{.x = {"tokens of the text", Unit::kTokens, true},
              .y = {"needles found", Unit::kShare},
              .series = {},
              .levels = {}};
  Table table{{"file", "tokens", "policy", "found", "95 % interval", "samples", "tokens retrieved",
               "memory"},
              {}};
  Looks looks;
  for (const Variant& variant : variants) {
    const size_t first = plot.series.size();
    for_each_row(variant, [&](const ResultFile& file, const NeedleResult::Row& row) {
      const std::string name = variant.label(row.policy);
      auto series =
          std::find_if(plot.series.begin() + static_cast<std::ptrdiff_t>(first), plot.series.end(),
                       [&](const Series& other) { return other.name == name; });
      if (series == plot.series.end())
        series = plot.series.insert(
            series,
            {.name = name, .look = looks.next(family_of(row.policy, file.options)), .points = {}});
      series->points.push_back(
          {.x = static_cast<double>(row.length), .y = row.accuracy, .bounds = row.interval});
      table.rows.push_back(
          {file.stem, grouped(row.length), row.policy, percent(row.accuracy),
           row.interval ? concat(percent(row.interval->low), " to ", percent(row.interval->high))
                        : "",
           grouped(row.samples), fixed(row.mean_retrieved, 1), bytes_text(row.cache_bytes)});
    });
  }
  for (Series& series : plot.series)
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const auto& a, const auto& b) { return a.x < b.x; });
  return {.id = "needle-length",
          .title = "Needles found by length",
          .caption =
              "One number is hidden in each text; it counts as found when the answer has it. "
              "Bars and bands are 95 % intervals (Wilson).",
          .plot = std::move(plot),
          .table = std::move(table),
          .sources = sources};
}

HeatMap::Column column_of(const Variant& variant, const std::string& policy, int64_t length) {
  HeatMap::Column column{variant.label(policy), grouped(length), {}};
  int64_t n[kBins] = {}, n_found[kBins] = {};
  for (const ResultFile* file : variant.files)
    for (const NeedleResult::Sample& sample : result_of(*file).samples) {
      if (sample.policy != policy || sample.length != length) continue;
      const int bin = static_cast<int>(std::clamp(sample.depth * kBins / 100, 0.0, kBins - 1.0));
      ++n[bin];
      n_found[bin] += sample.found;
    }
  for (int bin = 0; bin < kBins; ++bin) {
    if (n[bin] == 0) {
      column.cells.emplace_back();
      continue;
    }
    const double share = static_cast<double>(n_found[bin]) / static_cast<double>(n[bin]);
    column.cells.push_back(HeatMap::Cell{share, concat(n_found[bin], '/', n[bin])});
  }
  return column;
}

std::vector<HeatMap::Column> columns_of(const Variant& variant) {
  std::vector<std::string> policies;
  for_each_row(variant, [&](const ResultFile&, const NeedleResult::Row& row) {
    if (std::find(policies.begin(), policies.end(), row.policy) == policies.end())
      policies.push_back(row.policy);
  });
  std::vector<HeatMap::Column> columns;
  for (const std::string& policy : policies) {
    std::set<int64_t> lengths;
    for_each_row(variant, [&](const ResultFile&, const NeedleResult::Row& row) {
      if (row.policy == policy) lengths.insert(row.length);
    });
    for (const int64_t length : lengths) columns.push_back(column_of(variant, policy, length));
  }
  return columns;
}

// How many of the columns from `first` on make one figure: whole groups, and no more than fit on a
// narrow screen unless one group has more.
size_t columns_together(const std::vector<HeatMap::Column>& columns, size_t first) {
  constexpr size_t kMost = 7;
  size_t n = 0;
  for (size_t i = first; i < columns.size(); ++i) {
    const bool ends_group = i + 1 == columns.size() || columns[i + 1].group != columns[i].group;
    if (n > 0 && i - first >= kMost) break;
    if (ends_group) n = i - first + 1;
  }
  return n;
}

void add_depths(const std::vector<Variant>& variants, const FileList& sources, Section& section) {
  std::vector<HeatMap::Column> columns;
  for (const Variant& variant : variants)
    for (HeatMap::Column& column : columns_of(variant))
      if (std::any_of(column.cells.begin(), column.cells.end(),
                      [](const auto& cell) { return cell.has_value(); }))
        columns.push_back(std::move(column));
  int n_figures = 0;
  for (size_t first = 0, n = 0; first < columns.size(); first += n) {
    n = columns_together(columns, first);
    HeatMap plot{.x_title = "tokens of the text",
                 .y_title = "depth of the needle",
                 .rows = {},
                 .columns = {}};
    Table table{{"depth"}, {}};
    for (size_t i = first; i < first + n; ++i) {
      plot.columns.push_back(columns[i]);
      table.header.push_back(concat(columns[i].group, ", ", columns[i].name));
    }
    for (int bin = 0; bin < kBins; ++bin) {
      plot.rows.push_back(concat(100 * bin / kBins, " to ", 100 * (bin + 1) / kBins, " %"));
      std::vector<std::string> line{plot.rows.back()};
      for (const HeatMap::Column& column : plot.columns) {
        const auto& cell = column.cells[static_cast<size_t>(bin)];
        line.push_back(cell ? cell->text : "");
      }
      table.rows.push_back(std::move(line));
    }
    section.figures.push_back(
        {.id = first == 0 ? "needle-depth" : concat("needle-depth-", n_figures + 1),
         .title = "Needles found by depth and length",
         .caption = "The stronger the colour the better; 3/4: three of four found. Depth is the "
                    "share of the text "
                    "before the needle. Dashed cells were not measured.",
         .plot = std::move(plot),
         .table = std::move(table),
         .sources = sources});
    ++n_figures;
  }
}

}  // namespace

Section needle_section(const std::vector<ResultFile>& files) {
  Section section{"needle", "A needle in a long text", {}, {}};
  const FileList sources = files_with<NeedleResult>(files);
  if (sources.empty()) return section;
  // A pool that grows with the text is no other variant.
  const auto variants = variants_of(sources, {"length", "policy", "pool"}, cells_of);
  section.figures.push_back(by_length(variants, sources));
  add_depths(variants, sources, section);
  FileList without;
  for (const ResultFile* file : sources)
    if (result_of(*file).samples.empty()) without.push_back(file);
  if (!without.empty())
    section.missing.push_back(concat("No depths from ", names_of(without), ": without samples."));
  return section;
}

}  // namespace dsrasq::report
