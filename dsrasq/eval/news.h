#pragma once

// A newswire read day after day, and what of it can still be told: the headline of a story from its
// first words, by the story's age.

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
  int64_t opening = 16;
  int64_t max_tokens = 32;
  std::string predictions{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data", "stories as JSON Lines (also .xz): time, title, text, and an id if any");
    visit(from, "from", "leave out what is older than this day, as 1987-06-01");
    visit(days, "days", "days with stories to read; 0: all");
    visit(stories, "stories", "of each day, the first ones; 0: all");
    visit(ages, "ages", "in days, of the stories that are asked about after each day; by commas");
    visit(samples, "samples", "questions of each day and age");
    visit(opening, "opening", "words of a story that its question quotes");
    visit(max_tokens, "max-tokens", "most tokens of an answer");
    visit(predictions, "predictions",
          "a .jsonl file that gets every answer as it comes; a stopped run goes on from it");
  }
};

/// A step for each day: its stories, headline and text, in the order of time; then the questions.
/// A story is asked about when its text is longer than what is quoted of it and no other story of
/// the stream begins in the same way; of those of one day the asked ones are evenly spaced. Tasks
/// are ages ("age 1"), ids those of the stories. Throws kInvalidArgument for a number out of range,
/// and where no day is left or nothing can be asked.
Stream news_stream(const std::vector<data::Story>& stories, const NewsOptions& options);

}  // namespace dsrasq::eval
