#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/report/number_text.h"
#include "dsrasq/report/sections.h"
#include "dsrasq/report/variants.h"

namespace dsrasq::report {
namespace {

using Answer = AnswerResult::Answer;

const AnswerResult& result_of(const ResultFile& file) {
  return std::get<AnswerResult>(file.result);
}

// Where the last passage of each text ends, over all results: no result says how long a text is.
std::map<std::string, double> ends_of(const FileList& files) {
  std::map<std::string, double> ends;
  for (const ResultFile* file : files)
    for (const Answer& answer : result_of(*file).answers)
      for (const AnswerResult::Passage& passage : answer.passages) {
        double& end = ends[passage.file];
        end = std::max({end, static_cast<double>(passage.end), 1.0});
      }
  return ends;
}

std::string verdict_of(const Answer& answer) {
  std::string out;
  if (answer.rank) out = *answer.rank > 0 ? concat("found, passage ", *answer.rank) : "not found";
  if (answer.is_right) out += concat(out.empty() ? "" : "; ", *answer.is_right ? "right" : "wrong");
  return out;
}

std::string passages_text(const Answer& answer) {
  std::string out;
  for (const AnswerResult::Passage& passage : answer.passages)
    out += concat(out.empty() ? "" : "; ", passage.file, ' ', grouped(passage.start), " to ",
                  grouped(passage.end), " (", fixed(100 * passage.weight, 1), " %)");
  return out;
}

// A track for each text that an answer read.
void add_tracks(const Answer& answer, const std::map<std::string, double>& ends, TrackPlot& plot) {
  std::vector<std::string> texts;
  double most = 0;
  for (const AnswerResult::Passage& passage : answer.passages) {
    most = std::max(most, passage.weight);
    if (std::find(texts.begin(), texts.end(), passage.file) == texts.end())
      texts.push_back(passage.file);
  }
  for (const std::string& text : texts) {
    TrackPlot::Track track{
        .name = answer.question, .text = verdict_of(answer), .length = ends.at(text), .spans = {}};
    if (texts.size() > 1 || track.name.empty())
      track.name += (track.name.empty() ? "" : ": ") + text;
    for (const AnswerResult::Passage& passage : answer.passages)
      if (passage.file == text)
        track.spans.push_back({.start = static_cast<double>(passage.start),
                               .end = static_cast<double>(passage.end),
                               .weight = most > 0 ? passage.weight / most : 1});
    plot.tracks.push_back(std::move(track));
  }
}

void add_passages(const ResultFile& file, size_t number, const std::map<std::string, double>& ends,
                  Section& section) {
  TrackPlot plot{.x_title = "place in the text, to the end of the last passage", .tracks = {}};
  Table table{{"question", "answer", "evidence", "passages: bytes (share of the weight)"}, {}};
  for (const Answer& answer : result_of(file).answers) {
    add_tracks(answer, ends, plot);
    table.rows.push_back({answer.question, answer.text, verdict_of(answer), passages_text(answer)});
  }
  if (plot.tracks.empty()) {
    section.missing.push_back(
        concat("No passages from ", names_of({&file}), ": its answers list none."));
    return;
  }
  section.figures.push_back(
      {.id = concat("passages-", number),
       .title = concat("Which passages were read: ", file.stem),
       .caption = "Each mark is a passage that was retrieved for the answer, darker where it had "
                  "more weight. The files do not say how long the texts are: the tracks end where "
                  "the last passage does.",
       .plot = std::move(plot),
       .table = std::move(table),
       .sources = {&file}});
}

void add_counts(const FileList& sets, Section& section) {
  RowPlot plot{.x = {"share of the questions", Unit::kShare}, .has_bars = true, .rows = {}};
  Table table{{"file", "way of reading", "questions", "evidence found", "answered right"}, {}};
  const auto add = [&](const char* group, const std::string& name, int64_t n, size_t of) {
    plot.rows.push_back({.group = group,
                         .name = name,
                         .look = {.colour = 1},
                         .value = static_cast<double>(n) / static_cast<double>(of),
                         .text = concat(n, " of ", of)});
  };
  std::vector<std::pair<const ResultFile*, int64_t>> judged;
  for (const ResultFile* file : sets) {
    const AnswerResult& result = result_of(*file);
    const size_t n = result.answers.size();
    if (n == 0) continue;
    const bool is_judged = std::all_of(result.answers.begin(), result.answers.end(),
                                       [](const Answer& a) { return a.is_right.has_value(); });
    const int64_t n_right = std::count_if(result.answers.begin(), result.answers.end(),
                                          [](const Answer& a) { return a.is_right == true; });
    if (is_judged) judged.emplace_back(file, n_right);
    add("evidence among the first three passages", file->stem, *result.n_found, n);
    table.rows.push_back({file->stem, result.way, concat(n), concat(*result.n_found),
                          is_judged ? concat(n_right) : "not judged"});
  }
  for (const auto& [file, n_right] : judged)
    add("answered right", file->stem, n_right, result_of(*file).answers.size());
  if (plot.rows.empty()) return;
  section.figures.push_back(
      {.id = "questions",
       .title = "Questions with known answers",
       .caption = "Right is better. A question counts as found when a passage overlaps the place "
                  "that answers it. Answers that nobody judged are left out.",
       .plot = std::move(plot),
       .table = std::move(table),
       .sources = sets});
}

}  // namespace

Section answer_section(const std::vector<ResultFile>& files) {
  Section section{"answers", "Answers and what they read", {}, {}};
  const FileList sources = files_with<AnswerResult>(files);
  FileList sets;
  for (const ResultFile* file : sources)
    if (result_of(*file).n_found) sets.push_back(file);
  add_counts(sets, section);
  const std::map<std::string, double> ends = ends_of(sources);
  for (size_t i = 0; i < sources.size(); ++i) add_passages(*sources[i], i + 1, ends, section);
  return section;
}

}  // namespace dsrasq::report
