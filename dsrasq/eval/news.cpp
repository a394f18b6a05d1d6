#include "dsrasq/eval/news.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "dsrasq/core/error.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInNews = "eval.news";

// A story as it is read: white space, which the wire broke lines with, as single spaces.
struct Item {
  const data::Story* story = nullptr;
  std::string title, text, opening;
  bool can_be_asked = false;
};

// The first `most` words of a text, with single spaces between them.
std::string words_of(const std::string& text, int64_t most) {
  std::istringstream parts(text);
  std::string words;
  for (std::string word; most-- > 0 && parts >> word;) words += (words.empty() ? "" : " ") + word;
  return words;
}

void check(const NewsOptions& options) {
  const auto check_least = [](const char* name, int64_t value, int64_t least) {
    DSRASQ_CHECK(value >= least, kInvalidArgument, kInNews, name, " is ", value, ", want ", least,
                 " or more");
  };
  check_least("days", options.days, 0);
  check_least("stories", options.stories, 0);
  check_least("samples", options.samples, 1);
  check_least("opening", options.opening, 1);
  DSRASQ_CHECK(!options.ages.empty(), kInvalidArgument, kInNews, "no age was named");
  for (const int64_t age : options.ages) {
    check_least("ages", age, 0);
    DSRASQ_CHECK(std::count(options.ages.begin(), options.ages.end(), age) == 1, kInvalidArgument,
                 kInNews, "age ", age, " is there twice");
  }
}

using Days = std::map<int64_t, std::vector<Item>>;

Days read_days(const std::vector<data::Story>& stories, const NewsOptions& options) {
  const int64_t first = options.from.empty() ? INT64_MIN : data::day_of(options.from, "from");
  Days days;
  for (const data::Story& story : stories) {
    if (story.day < first) continue;
    if (options.days > 0 && static_cast<int64_t>(days.size()) == options.days &&
        !days.contains(story.day))
      break;
    std::vector<Item>& day = days[story.day];
    if (options.stories > 0 && static_cast<int64_t>(day.size()) == options.stories) continue;
    day.push_back({.story = &story,
                   .title = words_of(story.title, INT64_MAX),
                   .text = words_of(story.text, INT64_MAX),
                   .opening = words_of(story.text, options.opening)});
  }
  DSRASQ_CHECK(!days.empty(), kInvalidArgument, kInNews, "no story is from ", options.from,
               " or later");
  return days;
}

void mark_askable(Days& days) {
  std::map<std::string, int64_t> n_openings;
  for (const auto& [day, items] : days)
    for (const Item& item : items) ++n_openings[item.opening];
  for (auto& [day, items] : days)
    for (Item& item : items)
      item.can_be_asked = item.text.size() > item.opening.size() && n_openings[item.opening] == 1;
}

StreamQuestion question_of(const Item& item, int64_t age) {
  StreamQuestion question;
  question.sample.task = concat("age ", age);
  question.sample.id = item.story->id;
  question.sample.question = item.opening;
  question.sample.references = {item.title};
  question.prompt = concat("The headline of the story that begins \"", item.opening, "\" was:");
  return question;
}

// About at most `samples` stories of one day.
void add_questions(StreamStep& step, const std::vector<Item>& items, int64_t age, int64_t samples) {
  std::vector<const Item*> askable;
  for (const Item& item : items)
    if (item.can_be_asked) askable.push_back(&item);
  const auto n = static_cast<int64_t>(askable.size()), n_asked = std::min(samples, n);
  for (int64_t i = 0; i < n_asked; ++i)
    step.questions.push_back(question_of(*askable[static_cast<size_t>(i * n / n_asked)], age));
}

}  // namespace

Stream news_stream(const std::vector<data::Story>& stories, const NewsOptions& options) {
  check(options);
  Days days = read_days(stories, options);
  mark_askable(days);
  Stream stream;
  size_t n_questions = 0;
  for (const auto& [day, items] : days) {
    StreamStep step;
    for (const Item& item : items) step.text += concat(item.title, '\n', item.text, "\n\n");
    for (const int64_t age : options.ages)
      if (const auto then = days.find(day - age); then != days.end())
        add_questions(step, then->second, age, options.samples);
    n_questions += step.questions.size();
    stream.push_back(std::move(step));
  }
  DSRASQ_CHECK(n_questions > 0, kInvalidArgument, kInNews, "of ", stories.size(), " stories none ",
               "can be asked about: want other ages, more days or a shorter opening");
  return stream;
}

}  // namespace dsrasq::eval
