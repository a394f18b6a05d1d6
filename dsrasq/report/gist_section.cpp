#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

using Row = GistResult::Row;

// What is drawn of a row, and how it is written.
struct Measure {
  const char* id;
  const char* title;
  AxisSpec axis;
  const char* caption;
  double Row::*value;
  std::optional<Bounds> Row::*bounds;
  std::string (*text)(double);
};

std::string percent(double share) { return fixed(100 * share, 0) + " %"; }
std::string nats(double value) { return with_sign(value, 3); }

const Measure kMeasures[] = {
    {"gist-accuracy",
     "Passages told apart: the right one chosen",
     {"right", Unit::kShare},
     "Of several unread passages the one is chosen that what was read made the most likely. Bars "
     "are 95 % intervals (Wilson).",
     &Row::accuracy,
     &Row::accuracy_interval,
     percent},
    {"gist-advantage",
     "Passages told apart: advantage of the right one",
     {"nats a token", Unit::kNumber},
     "By how much more reading a text made a passage of its own likelier than others. Right is "
     "better, zero is chance. Whiskers are 95 % bootstrap intervals over texts.",
     &Row::advantage,
     &Row::advantage_interval,
     nats}};

const GistResult& result_of(const ResultFile& file) { return std::get<GistResult>(file.result); }

std::string interval(const std::optional<Bounds>& bounds, std::string (*text)(double)) {
  return bounds ? concat(text(bounds->low), " to ", text(bounds->high)) : "";
}

Table table_of(const FileList& files) {
  Table table{{"file", "policy", "right", "95 % interval", "chance", "own passage", "others",
               "advantage", "95 % interval", "difference to the first", "95 % interval", "texts",
               "tokens retrieved", "memory"},
              {}};
  for (const ResultFile* file : files)
    for (const Row& row : result_of(*file).rows)
      table.rows.push_back({file->stem, row.policy, percent(row.accuracy),
                            interval(row.accuracy_interval, percent), percent(row.chance),
                            nats(row.own_gain), nats(row.other_gain), nats(row.advantage),
                            interval(row.advantage_interval, nats),
                            row.advantage_difference ? nats(*row.advantage_difference) : "",
                            interval(row.advantage_difference_interval, nats), grouped(row.samples),
                            fixed(row.mean_retrieved, 1), bytes_text(row.cache_bytes)});
  return table;
}

// The chances of all files, each once.
std::string chances(const FileList& files) {
  std::string text;
  for (const ResultFile* file : files) {
    const std::string chance = percent(result_of(*file).rows.front().chance);
    if (text.find(chance) == std::string::npos) text += (text.empty() ? "" : " or ") + chance;
  }
  return text;
}

Figure figure_of(const Measure& measure, const FileList& files) {
  RowPlot plot{.x = measure.axis, .has_bars = true, .rows = {}};
  for (const ResultFile* file : files) {
    Looks looks;
    for (const Row& row : result_of(*file).rows)
      plot.rows.push_back({.group = files.size() > 1 ? file->stem : "",
                           .name = row.policy,
                           .look = looks.next(family_of(row.policy, file->options)),
                           .value = row.*measure.value,
                           .bounds = row.*measure.bounds,
                           .text = measure.text(row.*measure.value)});
  }
  std::string caption = measure.caption;
  if (measure.value == &Row::accuracy) caption += concat(" Chance is ", chances(files), '.');
  return {.id = measure.id,
          .title = measure.title,
          .caption = std::move(caption),
          .plot = std::move(plot),
          .table = table_of(files),
          .sources = files};
}

}  // namespace

Section gist_section(const std::vector<ResultFile>& files) {
  Section section{"gist", "What is left of a text whose tokens are gone", {}, {}};
  const FileList sources = files_with<GistResult>(files);
  if (sources.empty()) return section;
  for (const Measure& measure : kMeasures) section.figures.push_back(figure_of(measure, sources));
  return section;
}

}  // namespace dsrasq::report
