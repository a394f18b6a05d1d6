#pragma once

// A newswire read day after day, and what of it can still be told: how a story with a given
// headline begins, by the story's age.

#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/data/stories.h"
#include "dsrasq/eval/stream_run.h"

namespace dsrasq::eval {

struct NewsOptions {
  std::vector<std::string> data{};
  std::string from{};
  int64_t days = 7;
  int64_t stories = 40;
  std::vector<int64_t> ages{0, 1, 2, 4};
  int64_t samples = 4;
  int64_t opening = 24;
  int64_t max_tokens = 48;
  bool question_agnostic = false;
  std::string predictions{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data",
          "stories: Reuters-21578 (archive or .sgm), or JSON Lines with time, title, text");
    visit(from, "from", "leave out what is older than this day, as 1987-06-01");
    visit(days, "days", "days with stories to read; 0: all");
    visit(stories, "stories", "of each day, the first ones; 0: all");
    visit(ages, "ages", "in days, of the stories that are asked about after each day; by commas");
    visit(samples, "samples", "questions of each day and age");
    visit(opening, "opening", "words of a story's beginning that are asked for");
    visit(max_tokens, "max-tokens", "most tokens of an answer");
    visit(question_agnostic, "question-agnostic",
          "what is kept of the stream is chosen before the question is read (snapkv, pyramidkv)");
    visit(predictions, "predictions",
          "a .jsonl file that gets every answer as it comes; a stopped run goes on from it");
  }
};

/// A step for each day: its stories, headline and text, in the order of time; then the questions: a
/// headline comes again, and its story is to follow. A story is asked about when it has more
/// words than are asked for and no other story of the stream has its headline; of those of one
/// day the asked ones are evenly spaced. Tasks are ages ("age 1"), ids those of the stories. Throws
/// kInvalidArgument for a number out of range, and where no day is left or nothing can be asked.
Stream news_stream(const std::vector<data::Story>& stories, const NewsOptions& options);

}  // namespace dsrasq::eval
