#include "cli/score_samples.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/documents.h"
#include "dsrasq/data/text_reader.h"
#include "dsrasq/metrics/babi.h"
#include "dsrasq/metrics/python_text.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::json;

constexpr const char* kInScoreSamples = "cli.score";

/// One line of a .jsonl file and where it stands, for messages.
struct Record {
  Json fields;
  std::string where;

  std::string text(const char* name) const {
    const auto found = fields.find(name);
    DSRASQ_CHECK(found != fields.end() && found->is_string(), kBadInput, kInScoreSamples, where,
                 " has no string \"", name, "\"");
    return found->get<std::string>();
  }

  std::vector<std::string> texts(const char* name) const {
    const auto found = fields.find(name);
    const auto is_text = [](const Json& item) { return item.is_string(); };
    DSRASQ_CHECK(found != fields.end() && found->is_array() &&
                     std::all_of(found->begin(), found->end(), is_text),
                 kBadInput, kInScoreSamples, where, " has no list of strings \"", name, "\"");
    return found->get<std::vector<std::string>>();
  }

  // "qa1" or "1".
  int task() const {
    const std::string text = this->text("task");
    const std::string_view digits = std::string_view(text).substr(text.starts_with("qa") ? 2 : 0);
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    DSRASQ_CHECK(error == std::errc() && end == digits.data() + digits.size() && number >= 1 &&
                     number <= metrics::kBabiTasks,
                 kBadInput, kInScoreSamples, where, ": \"task\" is \"", text, "\", want qa1 to qa",
                 metrics::kBabiTasks);
    return number;
  }
};

// Builds nothing of the fields that do not matter.
bool keeps_field(int depth, Json::parse_event_t event, const Json& parsed) {
  if (depth != 1 || event != Json::parse_event_t::key) return true;
  return parsed == "prediction" || parsed == "references" || parsed == "question" ||
         parsed == "task";
}

Record parse_record(const std::string& line, std::string where) {
  Record record{Json(), std::move(where)};
  try {
    record.fields = Json::parse(line, keeps_field);
  } catch (const Json::parse_error& e) {
    throw Error(ErrorCode::kBadInput, kInScoreSamples,
                concat(record.where, " is not JSON (at byte ", e.byte, " of the line)"));
  } catch (const Json::exception&) {
    throw Error(ErrorCode::kBadInput, kInScoreSamples,
                concat(record.where, " is not JSON: a number is too large"));
  }
  DSRASQ_CHECK(record.fields.is_object(), kBadInput, kInScoreSamples, record.where,
               " is not a JSON object");
  return record;
}

// Calls `take` with every text line or record of a file; returns how many there were.
template <class TakeLine, class TakeRecord>
size_t read_lines(const std::string& path, const TakeLine& take_line,
                  const TakeRecord& take_record) {
  data::TextReader reader(path);
  const bool is_jsonl = data::names_jsonl(path);
  size_t n_texts = 0;
  for (std::string line; reader.next_line(line);) {
    check_interrupt();
    if (!is_jsonl) {
      take_line(n_texts++, line);
    } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
      take_record(n_texts++,
                  parse_record(line, concat(reader.name(), " line ", reader.line_number())));
    }
  }
  DSRASQ_CHECK(n_texts > 0, kBadInput, kInScoreSamples, reader.name(), " holds no record");
  return n_texts;
}

std::string text_of_line(const ScoreFiles& files, const std::string& line) {
  return files.reads_newlines ? metrics::replaced(line, "\\n", "\n") : line;
}

std::vector<ScoreSample> read_predictions(const ScoreFiles& files) {
  std::vector<ScoreSample> samples;
  DSRASQ_CHECK(
      data::names_jsonl(files.predictions) || !files.needs_task, kInvalidArgument, kInScoreSamples,
      "--metric babi needs records with \"question\" and \"task\": want a .jsonl file, not ",
      files.predictions);
  read_lines(
      files.predictions,
      [&](size_t, const std::string& line) { samples.push_back({text_of_line(files, line)}); },
      [&](size_t, const Record& record) {
        ScoreSample& sample = samples.emplace_back();
        sample.prediction = record.text("prediction");
        if (files.references.empty()) sample.references = record.texts("references");
        if (files.needs_task) {
          sample.question = record.text("question");
          sample.task = record.task();
        }
      });
  return samples;
}

void read_references(const std::string& path, const ScoreFiles& files,
                     std::vector<ScoreSample>& samples) {
  const auto add = [&](size_t at, std::string text) {  // what is too much is only counted
    if (at < samples.size()) samples[at].references.push_back(std::move(text));
  };
  const size_t n_texts = read_lines(
      path, [&](size_t at, const std::string& line) { add(at, text_of_line(files, line)); },
      [&](size_t at, const Record& record) {
        for (std::string& text : record.texts("references")) add(at, std::move(text));
      });
  DSRASQ_CHECK(n_texts == samples.size(), kBadInput, kInScoreSamples, files.predictions, " has ",
               samples.size(), " predictions, but ", path, " has references for ", n_texts);
}

bool is_blank(const std::string& text) { return metrics::strip(metrics::repaired(text)).empty(); }

}  // namespace

std::vector<ScoreSample> read_score_samples(const ScoreFiles& files) {
  DSRASQ_CHECK(!files.references.empty() || data::names_jsonl(files.predictions), kInvalidArgument,
               kInScoreSamples,
               "want --references FILE (only a .jsonl file of predictions has its own)");
  std::vector<ScoreSample> samples = read_predictions(files);
  for (const std::string& path : files.references) read_references(path, files, samples);
  if (!files.needs_reference_text) return samples;
  const std::string source =
      files.references.empty() ? files.predictions : files.references.front();
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::vector<std::string>& texts = samples[i].references;
    DSRASQ_CHECK(!std::all_of(texts.begin(), texts.end(), is_blank), kBadInput, kInScoreSamples,
                 source, ": text ", i + 1, " has no reference: there is none, or it is empty");
  }
  return samples;
}

}  // namespace dsrasq::cli
