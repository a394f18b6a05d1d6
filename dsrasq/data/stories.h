#pragma once

// Dated stories: a newswire in the order in which it came.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

struct Story {
  std::string id;    ///< its own, else "FILE:LINE"
  std::string time;  ///< ISO 8601, a date at least
  std::string title, text;
  int64_t day = 0;  ///< of the time: days since 1970-01-01
};

/// Days since 1970-01-01 of a time that begins with YYYY-MM-DD. Throws kInvalidArgument naming
/// `what` for anything else.
int64_t day_of(std::string_view time, std::string_view what);

/// The stories of files by their time, those of one time in the order of the files. JSON Lines
/// (also
/// `.xz`, `.gz`) have `time`, `title`, `text` and, if there is one, `id`; other files and folders
/// are read by CorpusReader (Reuters-21578, as its archive or `.sgm` files). Stories with an empty
/// title or text are left out. Throws kBadInput naming the file, the line and the field that is
/// wrong, an id that is there twice, and a file without dated stories.
std::vector<Story> read_stories(const std::vector<std::string>& paths,
                                const ReadOptions& options = {});

}  // namespace dsrasq::data
