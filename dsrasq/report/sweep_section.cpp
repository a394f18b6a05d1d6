#include <algorithm>
#include <array>
#include <charconv>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

using Row = SweepResult::Row;
using Rows = std::vector<const Row*>;

// What varies from point to point.
struct Choice {
  const char* name;
  double Row::*value;
};
constexpr Choice kTopK{"k", &Row::top_k}, kSlots{"r", &Row::slots}, kBeta{"beta", &Row::beta},
    kLambdaRet{"lambda_ret", &Row::lambda_ret}, kLambdaComp{"lambda_comp", &Row::lambda_comp};
constexpr std::array<Choice, 5> kChoices{kTopK, kSlots, kBeta, kLambdaRet, kLambdaComp};

// All digits, as different values have to look different.
std::string exact(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string value_text(const Choice& choice, double value) {
  return choice.value == kBeta.value && value == 0 ? "learned" : exact(value);
}

std::vector<double> values_of(const Rows& rows, const Choice& choice) {
  std::vector<double> values;
  for (const Row* row : rows) values.push_back(row->*choice.value);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

struct Sweep {
  const ResultFile& file;
  std::string suffix;  // of the figures' ids
  Rows finished;

  bool varies(const Choice& choice) const { return values_of(finished, choice).size() > 1; }
};

// Rows that differ in nothing but the choices `along`, by what they have in common: of it what
// varies at all, "beta = 0.9, lambda_ret = 6e-05".
std::vector<std::pair<std::string, Rows>> grouped_along(const Sweep& sweep,
                                                        const std::vector<Choice>& along) {
  std::vector<std::pair<std::string, Rows>> groups;
  for (const Row* row : sweep.finished) {
    std::string name;
    for (const Choice& choice : kChoices) {
      const bool is_along = std::any_of(along.begin(), along.end(), [&](const Choice& other) {
        return other.value == choice.value;
      });
      if (is_along || !sweep.varies(choice)) continue;
      name += concat(name.empty() ? "" : ", ", choice.name, " = ",
                     value_text(choice, row->*choice.value));
    }
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const auto& other) { return other.first == name; });
    if (group == groups.end())
      groups.push_back({name, {row}});
    else
      group->second.push_back(row);
  }
  return groups;
}

Table table_of(const Rows& rows) {
  Table table{{"point", "k", "r", "beta", "lambda_ret", "lambda_comp", "perplexity", "change",
               "95 % interval", "KL, nats a token", "tokens retrieved", "memory", "tokens/s",
               "needles", "steps", "training tokens/s", "training seconds"},
              {}};
  for (const Row* row : rows) {
    std::vector<std::string> line{row->point};
    for (const Choice& choice : kChoices) line.push_back(value_text(choice, row->*choice.value));
    const std::string interval = row->change ? concat(with_sign(row->change->low, 2), " to ",
                                                      with_sign(row->change->high, 2), " %")
                                             : "";
    for (const std::string& cell :
         {fixed(row->perplexity, 3), with_sign(row->change_percent, 2) + " %", interval,
          rounded(row->kl), fixed(row->mean_retrieved, 1), bytes_text(row->cache_bytes),
          fixed(row->tokens_per_s, 0),
          row->needle_accuracy ? fixed(100 * *row->needle_accuracy, 0) + " %" : "",
          grouped(row->steps), fixed(row->train_tokens_per_s, 0), fixed(row->train_seconds, 0)})
      line.push_back(cell);
    table.rows.push_back(std::move(line));
  }
  return table;
}

// What goes downwards and to the right: k and r, or beta in the place of one that does not vary.
struct MapAxes {
  Choice down = kTopK, right = kSlots;
};

MapAxes axes_of(const Sweep& sweep) {
  if (!sweep.varies(kSlots) && sweep.varies(kBeta)) return {kTopK, kBeta};
  if (!sweep.varies(kTopK) && sweep.varies(kBeta)) return {kBeta, kSlots};
  return {};
}

std::string title_of(const Choice& choice) {
  if (choice.value == kTopK.value) return "k, tokens retrieved at most";
  return choice.value == kSlots.value ? "r, latent slots" : "beta, what stays of a slot";
}

// `best` and `worst` of the whole sweep are the ends of the shades.
HeatMap map_of(const Rows& rows, const MapAxes& axes, double best, double worst) {
  HeatMap map{
      .x_title = title_of(axes.right), .y_title = title_of(axes.down), .rows = {}, .columns = {}};
  const std::vector<double> downs = values_of(rows, axes.down);
  for (const double down : downs) map.rows.push_back(value_text(axes.down, down));
  for (const double right : values_of(rows, axes.right)) {
    HeatMap::Column column{"perplexity", value_text(axes.right, right), {}};
    for (const double down : downs) {
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row* one) {
        return one->*axes.down.value == down && one->*axes.right.value == right;
      });
      column.cells.emplace_back();
      if (row == rows.end()) continue;
      const double perplexity = (*row)->perplexity;
      const double share = worst > best ? (worst - perplexity) / (worst - best) : 1;
      column.cells.back() = HeatMap::Cell{share, fixed(perplexity, 3)};
    }
    map.columns.push_back(std::move(column));
  }
  return map;
}

void add_maps(const Sweep& sweep, Section& section) {
  const MapAxes axes = axes_of(sweep);
  if (!sweep.varies(axes.down) && !sweep.varies(axes.right)) return;
  const auto [best, worst] =
      std::minmax_element(sweep.finished.begin(), sweep.finished.end(),
                          [](const Row* a, const Row* b) { return a->perplexity < b->perplexity; });
  size_t n = 0;
  for (const auto& [name, rows] : grouped_along(sweep, {axes.down, axes.right})) {
    const std::string number = ++n == 1 ? "" : concat('-', n);
    section.figures.push_back(
        {.id = concat("sweep-map", sweep.suffix, number),
         .title = concat("Perplexity by ", axes.down.name, " and ", axes.right.name,
                         name.empty() ? "" : ": " + name),
         .caption = concat("The stronger the colour the better, on one scale for all maps of the "
                           "sweep: ",
                           fixed((*best)->perplexity, 3), " (", (*best)->point, ") to ",
                           fixed((*worst)->perplexity, 3), " (", (*worst)->point,
                           "). Full attention: ", fixed(rows.front()->full_perplexity, 3),
                           ". Dashed cells were not measured. One short training each: small "
                           "differences are within what another seed would change."),
         .plot = map_of(rows, axes, (*best)->perplexity, (*worst)->perplexity),
         .table = table_of(rows),
         .sources = {&sweep.file}});
  }
}

struct Measure {
  const char* id;
  const char* title;  // of the figure, before "against ..."
  const char* axis;
  double Row::*value;
};
constexpr std::array<Measure, 3> kMeasures{
    Measure{"perplexity", "Perplexity", "perplexity", &Row::perplexity},
    Measure{"retrieved", "Tokens retrieved", "tokens retrieved per query and layer (mean)",
            &Row::mean_retrieved},
    Measure{"speed", "Reading speed", "tokens per second of the evaluation", &Row::tokens_per_s}};

// A price of zero has no place on a logarithmic axis: it is a line across.
XyPlot price_plot(const std::vector<std::pair<std::string, Rows>>& groups, const Choice& price,
                  const Measure& measure) {
  XyPlot plot{.x = {price.name, Unit::kNumber, true},
              .y = {measure.axis, Unit::kNumber},
              .series = {},
              .levels = {}};
  constexpr int kColours = 11;  // beside that of full attention
  int n_curves = 0;
  for (const auto& [name, rows] : groups) {
    Series series{.name = name.empty() ? "dsrasq" : name,
                  .look = {.colour = 1 + n_curves % kColours, .mark = n_curves},
                  .points = {}};
    ++n_curves;
    for (const Row* row : rows) {
      if (row->*price.value > 0)
        series.points.push_back({.x = row->*price.value, .y = row->*measure.value});
      else
        plot.levels.push_back({concat(name, name.empty() ? "" : ", ", price.name, " = 0"),
                               series.look, row->*measure.value});
    }
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const auto& a, const auto& b) { return a.x < b.x; });
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

void add_prices(const Sweep& sweep, const Choice& price, const char* id, Section& section) {
  constexpr size_t kMostCurves = 12;
  if (!sweep.varies(price)) return;
  const auto groups = grouped_along(sweep, {price});
  if (groups.size() > kMostCurves) {
    section.missing.push_back(concat("No curves against ", price.name, " from ", sweep.file.stem,
                                     ".json: there would be ", groups.size(), "."));
    return;
  }
  for (const Measure& measure : kMeasures)
    section.figures.push_back(
        {.id = concat("sweep-", id, '-', measure.id, sweep.suffix),
         .title = concat(measure.title, " against ", price.name),
         .caption = concat("What a price in the loss does: ",
                           price.value == kLambdaRet.value
                               ? "lambda_ret is that of a retrieved token"
                               : "lambda_comp is that of 1e6 operations of attention",
                           ", by query and layer. Dotted lines are trained without it."),
         .plot = price_plot(groups, price, measure),
         .table = table_of(sweep.finished),
         .sources = {&sweep.file}});
}

void add_missing(const Sweep& sweep, Section& section) {
  int64_t n_open = 0;
  for (const Row& row : std::get<SweepResult>(sweep.file.result).rows) {
    if (row.is_finished) continue;
    if (row.failure.empty())
      ++n_open;
    else
      section.missing.push_back(
          concat(sweep.file.stem, ".json: point ", row.point, " failed: ", row.failure));
  }
  if (n_open > 0)
    section.missing.push_back(concat(sweep.file.stem, ".json: ", n_open,
                                     n_open == 1 ? " point was" : " points were", " not run yet."));
}

}  // namespace

Section sweep_section(const std::vector<ResultFile>& files) {
  Section section{"sweep", "Short trainings over a grid", {}, {}};
  const FileList sources = files_with<SweepResult>(files);
  for (size_t i = 0; i < sources.size(); ++i) {
    Sweep sweep{.file = *sources[i], .suffix = i == 0 ? "" : concat("-of-", i + 1), .finished = {}};
    for (const Row& row : std::get<SweepResult>(sweep.file.result).rows)
      if (row.is_finished) sweep.finished.push_back(&row);
    const size_t n_before = section.figures.size();
    if (!sweep.finished.empty()) {
      add_maps(sweep, section);
      add_prices(sweep, kLambdaRet, "lambda-ret", section);
      add_prices(sweep, kLambdaComp, "lambda-comp", section);
    }
    if (section.figures.size() == n_before)
      section.missing.push_back(
          concat("Nothing from ", sweep.file.stem,
                 ".json: its finished points do not differ in k, r, beta or a price."));
    add_missing(sweep, section);
  }
  return section;
}

}  // namespace dsrasq::report
