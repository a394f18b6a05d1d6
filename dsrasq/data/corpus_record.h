#pragma once

// One text of a corpus, whatever file format it came in.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/data/task_sample.h"

namespace dsrasq::data {

struct CorpusRecord {
  std::string id;                     ///< unique within a corpus
  std::string title{};                ///< may be empty
  std::string text;                   ///< with something to see in it
  std::optional<int64_t> time_ms;     ///< of news: since 1970-01-01 00:00
  std::string stream{};               ///< of a conversation: the service, article or topic
  std::vector<TaskDocument> turns{};  ///< of a conversation: `text` in parts, with their speakers
};

}  // namespace dsrasq::data
