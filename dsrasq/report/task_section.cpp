#include <algorithm>
#include <cmath>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

using Row = TaskResult::Row;

constexpr const char* kAll = "all";

const TaskResult& result_of(const ResultFile& file) { return std::get<TaskResult>(file.result); }

std::string number(double value) { return fixed(value, 3); }

std::string bounds_text(const std::optional<Bounds>& bounds, std::string (*write)(double)) {
  return bounds ? concat(write(bounds->low), " to ", write(bounds->high)) : "";
}

using RowOfFile = std::pair<const ResultFile*, const Row*>;

// One figure over tasks: those of all files under one name of a score.
struct Scores {
  std::string name;
  bool is_overall = false;
  std::vector<RowOfFile> rows;
};

std::vector<Scores> scores_of(const FileList& files) {
  std::vector<Scores> all;
  for (const ResultFile* file : files)
    for (const Row& row : result_of(*file).rows) {
      const bool is_overall = row.task == kAll;
      auto scores = std::find_if(all.begin(), all.end(), [&](const Scores& other) {
        return other.name == row.figure && other.is_overall == is_overall;
      });
      if (scores == all.end()) scores = all.insert(all.end(), {row.figure, is_overall, {}});
      scores->rows.emplace_back(file, &row);
    }
  return all;
}

bool by_question(const RowOfFile& row) {
  return keeps_by_question(row.second->policy, row.first->options);
}

std::string group_of(const ResultFile& file, const Row& row, bool several_files, bool both_kinds) {
  std::string group = row.task == kAll ? "all tasks" : row.task;
  if (several_files) group += concat(" (", file.stem, ')');
  if (both_kinds)
    group += keeps_by_question(row.policy, file.options) ? ", kept for the question"
                                                         : ", kept without the question";
  return group;
}

Table table_of(const Scores& scores) {
  Table table{{"file", "task", "policy", scores.name, "95 % interval", "difference to the first",
               "95 % interval", "samples", "tokens retrieved", "memory", "kept"},
              {}};
  for (const auto& [file, row] : scores.rows)
    table.rows.push_back(
        {file->stem, row->task, row->policy, number(row->value), bounds_text(row->interval, number),
         row->difference ? with_sign(*row->difference, 3) : "",
         bounds_text(row->difference_interval, [](double v) { return with_sign(v, 3); }),
         grouped(row->samples), fixed(row->mean_retrieved, 1), bytes_text(row->cache_bytes),
         keeps_by_question(row->policy, file->options) ? "for the question"
                                                       : "without the question"});
  return table;
}

// Of each task first the policies that did not know the question.
std::vector<RowOfFile> sorted_by_question(std::vector<RowOfFile> rows) {
  for (auto first = rows.begin(); first != rows.end();) {
    const RowOfFile task = *first;
    const auto end = std::stable_partition(first, rows.end(), [&](const RowOfFile& row) {
      return row.first == task.first && row.second->task == task.second->task;
    });
    std::stable_partition(first, end, [](const RowOfFile& row) { return !by_question(row); });
    first = end;
  }
  return rows;
}

// Names of scores come from files: what may stand in an id, and in the name of a file.
std::string id_of(const Scores& scores) {
  std::string id = "task-";
  for (const char c : scores.name) {
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    id += is_plain ? c : '-';
  }
  return id + (scores.is_overall ? "-all" : "");
}

FileList sources_of(const Scores& scores) {
  FileList sources;
  for (const auto& [file, row] : scores.rows)
    if (std::find(sources.begin(), sources.end(), file) == sources.end()) sources.push_back(file);
  return sources;
}

std::string short_number(double value) { return fixed(value, value < 9.995 ? 2 : 1); }

// Of one task a column, by the policies in `names`; shaded from the task's worst to its best.
HeatMap::Column column_of(const std::string& task, const std::vector<RowOfFile>& rows,
                          const std::vector<std::string>& names) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const auto& [file, row] : rows)
    low = std::min(low, row->value), high = std::max(high, row->value);
  HeatMap::Column column{task, "", std::vector<std::optional<HeatMap::Cell>>(names.size())};
  for (const auto& [file, row] : rows) {
    const auto place = std::find(names.begin(), names.end(), row->policy) - names.begin();
    column.cells[static_cast<size_t>(place)] =
        HeatMap::Cell{high > low ? (row->value - low) / (high - low) : 0, short_number(row->value)};
  }
  return column;
}

// Whether a task is in more than one file.
bool tasks_repeat(const Scores& scores) {
  std::map<std::string, const ResultFile*> files;
  return std::any_of(scores.rows.begin(), scores.rows.end(), [&](const RowOfFile& row) {
    return files.emplace(row.second->task, row.first).first->second != row.first;
  });
}

// Many tasks and policies as maps of some tasks each.
std::vector<Figure> maps_of(const Scores& scores) {
  constexpr size_t kMostColumns = 6;  // a number has to fit on a narrow screen
  const bool repeats = tasks_repeat(scores);
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::vector<RowOfFile>>> tasks;
  for (const RowOfFile& row : scores.rows) {
    const std::string task = group_of(*row.first, *row.second, repeats, false);
    if (tasks.empty() || tasks.back().first != task) tasks.push_back({task, {}});
    tasks.back().second.push_back(row);
    if (std::find(names.begin(), names.end(), row.second->policy) == names.end())
      names.push_back(row.second->policy);
  }
  std::vector<Figure> figures;
  for (size_t first = 0; first < tasks.size(); first += kMostColumns) {
    HeatMap map{.x_title = "", .y_title = scores.name, .rows = names, .columns = {}};
    Scores shown{scores.name, scores.is_overall, {}};
    for (size_t i = first; i < std::min(tasks.size(), first + kMostColumns); ++i) {
      map.columns.push_back(column_of(tasks[i].first, tasks[i].second, names));
      shown.rows.insert(shown.rows.end(), tasks[i].second.begin(), tasks[i].second.end());
    }
    const std::string number = first == 0 ? "" : concat('-', first / kMostColumns + 1);
    const size_t n_maps = (tasks.size() + kMostColumns - 1) / kMostColumns;
    const std::string part =
        n_maps == 1 ? "" : concat(", ", first / kMostColumns + 1, " of ", n_maps);
    figures.push_back({.id = id_of(scores) + "-map" + number,
                       .title = concat("Task scores: ", scores.name, part),
                       .caption = "A column is a task. The stronger the colour, the better among "
                                  "the policies of the column; dashed cells were not measured. "
                                  "Intervals and differences to the first policy are in the "
                                  "table.",
                       .plot = std::move(map),
                       .table = table_of(shown),
                       .sources = sources_of(shown)});
  }
  return figures;
}

Figure figure_of(Scores scores, bool several_files, bool both_kinds) {
  if (both_kinds) scores.rows = sorted_by_question(std::move(scores.rows));
  RowPlot plot{.x = {scores.name, Unit::kNumber}, .has_bars = true, .rows = {}};
  std::map<std::string, Looks> looks;
  for (const auto& [file, row] : scores.rows) {
    const std::string group = group_of(*file, *row, several_files, both_kinds);
    plot.rows.push_back({.group = group,
                         .name = row->policy,
                         .look = looks[group].next(family_of(row->policy, file->options)),
                         .value = row->value,
                         .bounds = row->interval,
                         .text = number(row->value)});
  }
  std::string caption =
      concat(scores.is_overall ? "Means over tasks, each of which counts the same. " : "",
             "Whiskers are 95 % bootstrap intervals over samples.");
  caption += " Right is better.";
  if (both_kinds)
    caption +=
        " Kept for the question: the question at the end of the prompt chose what the "
        "memory keeps; the others were filled before it was known.";
  return {.id = id_of(scores),
          .title = concat("Task scores: ", scores.name, scores.is_overall ? " over all tasks" : ""),
          .caption = std::move(caption),
          .plot = std::move(plot),
          .table = table_of(scores),
          .sources = sources_of(scores)};
}

}  // namespace

Section task_section(const std::vector<ResultFile>& files) {
  Section section{"tasks", "Tasks", {}, {}};
  constexpr size_t kMostBars = 40;
  const FileList sources = files_with<TaskResult>(files);
  for (Scores& scores : scores_of(sources)) {
    const bool any = std::any_of(scores.rows.begin(), scores.rows.end(), by_question);
    const bool all = std::all_of(scores.rows.begin(), scores.rows.end(), by_question);
    if (scores.rows.size() > kMostBars && !scores.is_overall) {
      for (Figure& map : maps_of(scores)) section.figures.push_back(std::move(map));
      continue;
    }
    Figure figure = figure_of(std::move(scores), sources.size() > 1, any && !all);
    const bool is_taken = std::any_of(section.figures.begin(), section.figures.end(),
                                      [&](const Figure& other) { return other.id == figure.id; });
    if (is_taken) figure.id += concat('-', section.figures.size() + 1);
    section.figures.push_back(std::move(figure));
  }
  return section;
}

}  // namespace dsrasq::report
