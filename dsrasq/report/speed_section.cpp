#include <algorithm>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

using Row = BenchResult::Row;

// One kind of measurement in words.
struct Kind {
  const char* what;
  const char* id;
  const char* title;
  const char* timed;  // what the exponent is of
};
constexpr Kind kKinds[] = {
    {"prefill", "reading", "reading", "Time of reading the whole text"},
    {"decode", "generating", "generating", "Time of one token"},
    {"scaling", "scaling", "reading", "Time of reading the whole text"},
    {"", "speed", "reading or generating (the file does not say which)", "Time"}};

// What bench scaling counts beside the time.
struct Counted {
  const char* of;
  const char* title;
  const char* caption;
  Unit unit;
  std::optional<double> Row::*value;
};
const Counted kCounted[] = {
    {"operations", "operations",
     "Counted: 2 for each multiply-add of linear layers, index scan and attention.", Unit::kNumber,
     &Row::operations},
    {"cache_bytes_read", "bytes of the cache read",
     "Counted: keys, values and index keys that the queries read; weights are not in it.",
     Unit::kBytes, &Row::cache_bytes_read}};

const BenchResult& result_of(const ResultFile& file) { return std::get<BenchResult>(file.result); }

std::set<std::string> cells_of(const ResultFile& file) {
  std::set<std::string> cells;
  for (const Row& row : result_of(file).rows) cells.insert(concat(row.length, ' ', row.policy));
  return cells;
}

// The exponent that the one file of a variant holds; of several files none holds for all.
std::string exponent_text(const Variant& variant, const std::string& policy,
                          const std::string& of = "seconds") {
  if (variant.files.size() != 1) return "";
  const BenchResult& result = result_of(*variant.files.front());
  for (const BenchResult::Growth& growth : result.growth) {
    if (growth.policy != policy || growth.of != of) continue;
    const std::string text = "L^" + fixed(growth.exponent, 2);
    if (!growth.interval) return text;
    return concat(text, " (", fixed(growth.interval->low, 2), " to ",
                  fixed(growth.interval->high, 2), ")");
  }
  if (of != "seconds") return "";
  for (const auto& [name, exponent] : result.exponents)
    if (name == policy) return "L^" + fixed(exponent, 2);
  return "";
}

// `exponent_of`: what its exponents are of; empty for none. Rows without a point are left out.
template <class ToPoint>
std::vector<Series> series_of(const std::vector<Variant>& variants, const std::string& exponent_of,
                              const ToPoint& to_point) {
  std::vector<Series> all;
  Looks looks;
  for (const Variant& variant : variants) {
    std::map<std::string, size_t> places;
    for (const ResultFile* file : variant.files)
      for (const Row& row : result_of(*file).rows) {
        const std::optional<Series::Point> point = to_point(row);
        if (!point) continue;
        if (!places.contains(row.policy)) {
          const std::string exponent =
              exponent_of.empty() ? "" : exponent_text(variant, row.policy, exponent_of);
          places[row.policy] = all.size();
          all.push_back(
              {.name = variant.label(row.policy) + (exponent.empty() ? "" : ": " + exponent),
               .look = looks.next(family_of(row.policy, file->options)),
               .points = {}});
        }
        all[places[row.policy]].points.push_back(*point);
      }
  }
  for (Series& series : all)
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const auto& a, const auto& b) { return a.x < b.x; });
  return all;
}

Table table_of(const std::vector<Variant>& variants) {
  Table table{{"file", "tokens", "policy", "tokens/s", "slowest", "fastest", "exponent", "memory",
               "peak of the process"},
              {}};
  for (const Variant& variant : variants)
    for (const ResultFile* file : variant.files)
      for (const Row& row : result_of(*file).rows)
        table.rows.push_back({file->stem, grouped(row.length), row.policy,
                              fixed(row.tokens_per_s, 1), fixed(row.slowest, 1),
                              fixed(row.fastest, 1), exponent_text(variant, row.policy),
                              bytes_text(row.cache_bytes), bytes_text(row.peak_bytes)});
  return table;
}

Table counted_table(const std::vector<Variant>& variants, const Counted& counted) {
  Table table{{"file", "tokens", "policy", counted.title, "exponent"}, {}};
  for (const Variant& variant : variants)
    for (const ResultFile* file : variant.files)
      for (const Row& row : result_of(*file).rows)
        if (const auto value = row.*counted.value)
          table.rows.push_back({file->stem, grouped(row.length), row.policy, fixed(*value, 0),
                                exponent_text(variant, row.policy, counted.of)});
  return table;
}

void add_counted(const Counted& counted, const FileList& files, Section& section) {
  const auto variants = variants_of(files, {"lengths", "policy", "segments"}, cells_of);
  auto series =
      series_of(variants, counted.of, [&](const Row& row) -> std::optional<Series::Point> {
        const auto value = row.*counted.value;
        if (!value || *value <= 0) return std::nullopt;
        return Series::Point{.x = static_cast<double>(row.length), .y = *value};
      });
  if (series.empty()) return;
  section.figures.push_back(
      {.id = concat("counted-", counted.of),
       .title = concat("Reading: ", counted.title, " against length"),
       .caption = concat("Down is better; both axes are logarithmic. ", counted.caption,
                         " Policies whose work has no rule are left out."),
       .plot = XyPlot{.x = {"tokens", Unit::kTokens, true},
                      .y = {counted.title, counted.unit, true},
                      .series = std::move(series),
                      .levels = {}},
       .table = counted_table(variants, counted),
       .sources = files});
}

// Of bench scaling the time itself, beside what was counted.
void add_seconds(const FileList& files, Section& section) {
  const auto variants = variants_of(files, {"lengths", "policy", "segments"}, cells_of);
  const auto seconds = [](const Row& row, double tokens_per_s) {
    return static_cast<double>(row.length) / tokens_per_s;
  };
  section.figures.push_back(
      {.id = "time-scaling",
       .title = "Reading: seconds against length",
       .caption = "Down is better; both axes are logarithmic. Bars and bands go from the fastest "
                  "to the slowest repeat. L^x: how the time grows with the length, with the 95 % "
                  "interval of the fit.",
       .plot =
           XyPlot{
               .x = {"tokens", Unit::kTokens, true},
               .y = {"seconds", Unit::kNumber, true},
               .series = series_of(
                   variants, "seconds",
                   [&](const Row& row) {
                     Series::Point point{.x = static_cast<double>(row.length),
                                         .y = seconds(row, row.tokens_per_s)};
                     if (row.slowest < row.fastest)
                       point.bounds = Bounds{seconds(row, row.fastest), seconds(row, row.slowest)};
                     return std::optional(point);
                   }),
               .levels = {}},
       .table = table_of(variants),
       .sources = files});
}

void add_figures(const Kind& kind, const FileList& files, Section& section) {
  const auto variants = variants_of(files, {"lengths", "policy", "segments"}, cells_of);
  const AxisSpec lengths{"tokens", Unit::kTokens, true};
  XyPlot speed{.x = lengths,
               .y = {"tokens per second", Unit::kNumber, true},
               .series = series_of(variants, "seconds",
                                   [](const Row& row) {
                                     Series::Point point{.x = static_cast<double>(row.length),
                                                         .y = row.tokens_per_s};
                                     if (row.slowest < row.fastest)
                                       point.bounds = Bounds{row.slowest, row.fastest};
                                     return std::optional(point);
                                   }),
               .levels = {}};
  section.figures.push_back(
      {.id = concat("speed-", kind.id),
       .title = concat("Speed of ", kind.title, " against length"),
       .caption = concat("Up is better; both axes are logarithmic. Bars and bands go from the "
                         "slowest to the fastest repeat. ",
                         kind.timed,
                         " grows as L^x with the length L: fitted where a file has two lengths."),
       .plot = std::move(speed),
       .table = table_of(variants),
       .sources = files});
  const bool has_peaks = std::all_of(files.begin(), files.end(), [](const ResultFile* file) {
    const auto& rows = result_of(*file).rows;
    return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.peak_bytes > 0; });
  });
  if (!has_peaks) {
    section.missing.push_back(concat("No peak memory of ", kind.title, ": the files have none."));
    return;
  }
  XyPlot memory{
      .x = lengths,
      .y = {"peak memory of the process", Unit::kBytes, true},
      .series = series_of(variants, "",
                          [](const Row& row) {
                            return std::optional(Series::Point{.x = static_cast<double>(row.length),
                                                               .y = row.peak_bytes});
                          }),
      .levels = {}};
  section.figures.push_back(
      {.id = concat("memory-", kind.id),
       .title = concat("Peak memory of ", kind.title, " against length"),
       .caption = "Down is better; both axes are logarithmic. Weights and libraries are included.",
       .plot = std::move(memory),
       .table = table_of(variants),
       .sources = files});
}

}  // namespace

Section speed_section(const std::vector<ResultFile>& files) {
  Section section{"speed", "Speed and memory", {}, {}};
  for (const Kind& kind : kKinds) {
    FileList chosen;
    for (const ResultFile* file : files_with<BenchResult>(files))
      if (result_of(*file).what == kind.what) chosen.push_back(file);
    if (chosen.empty()) continue;
    if (std::string_view(kind.what) == "scaling") add_seconds(chosen, section);
    add_figures(kind, chosen, section);
    for (const Counted& counted : kCounted) add_counted(counted, chosen, section);
  }
  return section;
}

}  // namespace dsrasq::report
