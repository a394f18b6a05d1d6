#include "dsrasq/data/stories.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/data/corpus_reader.h"
#include "dsrasq/data/documents.h"
#include "dsrasq/data/task_formats.h"
#include "dsrasq/data/time_stamp.h"

namespace dsrasq::data {
namespace {

using text::JsonView;

constexpr const char* kInStories = "data.stories";
constexpr const char* kWanted = "want a time that begins with a date as 1987-06-30";

// Nothing unless `text` begins with YYYY-MM-DD.
std::optional<int64_t> parse_day(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-dd";
  if (text.size() < kForm.size()) return std::nullopt;
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !is_digit : text[i] != kForm[i]) return std::nullopt;
  }
  const auto number = [&](size_t begin, size_t n) {
    int value = 0;
    std::from_chars(text.data() + begin, text.data() + begin + n, value);
    return value;
  };
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

Story parse_story(const JsonView& record, const std::string& place) {
  const JsonView time = record.at("time");
  const auto day = parse_day(time.string());
  if (!day) time.fail(concat("is \"", time.string().substr(0, 40), "\", ", kWanted));
  Story story{.id = id_of(record.find("id")),
              .time = time.string(),
              .title = record.at("title").string(),
              .text = record.at("text").string(),
              .day = *day};
  if (story.id.empty()) story.id = place;
  return story;
}

using Add = std::function<void(Story)>;

void read_lines(const std::string& path, const ReadOptions& options, const Add& add) {
  TextReader reader(path, options);
  for (std::string line; reader.next_line(line);) {
    if (is_blank(line)) continue;
    const std::string place = concat(reader.name(), ':', reader.line_number());
    const nlohmann::json value = text::parse_json(line, place);
    add(parse_story(JsonView(value, place), place));
  }
}

void read_corpus(const std::string& path, const ReadOptions& options, const Add& add) {
  CorpusFiles files = find_corpus_files({path}, "auto");
  if (files.holds_samples) return;
  CorpusReader reader(std::move(files), options);
  while (const auto record = reader.next()) {
    if (!record->time_ms) continue;
    Story story{.id = record->id, .time = iso_time(*record->time_ms), .title = record->title};
    // A corpus has the headline in the text too.
    const bool begins_with_title = record->text.starts_with(story.title);
    story.text = record->text.substr(begins_with_title ? story.title.size() : 0);
    story.day = *parse_day(story.time);
    add(std::move(story));
  }
}

}  // namespace

int64_t day_of(std::string_view time, std::string_view what) {
  const auto day = parse_day(time);
  DSRASQ_CHECK(day.has_value(), kInvalidArgument, kInStories, what, " is '", time, "', ", kWanted);
  return *day;
}

std::vector<Story> read_stories(const std::vector<std::string>& paths, const ReadOptions& options) {
  std::vector<Story> stories;
  std::set<std::string> ids;
  for (const std::string& path : paths) {
    const size_t n_before = stories.size();
    const auto add = [&](Story story) {
      if (is_blank(story.title) || is_blank(story.text)) return;
      DSRASQ_CHECK(ids.insert(story.id).second, kBadInput, kInStories, path, ": a story with id ",
                   story.id, " is there twice");
      stories.push_back(std::move(story));
    };
    if (names_jsonl(path))
      read_lines(path, options, add);
    else
      read_corpus(path, options, add);
    DSRASQ_CHECK(stories.size() > n_before, kBadInput, kInStories, path,
                 " holds no story with a time, a title and a text");
  }
  std::stable_sort(stories.begin(), stories.end(),
                   [](const Story& a, const Story& b) { return a.time < b.time; });
  return stories;
}

}  // namespace dsrasq::data
