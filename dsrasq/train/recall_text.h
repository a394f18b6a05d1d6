#pragma once

// Long-range recall in the training text. Books seldom need an exact old detail, so the attention
// that copies one is rarely seen by the warm-up; planted facts, asked for much later, and passages
// that come a second time show it where it matters. All wording is this project's own.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::train {

/// A statement, a question about it and the answer, which the statement holds word for word.
struct Fact {
  std::string statement, question, answer;
};

/// One of the templates with random names, places, codes, numbers and words.
Fact random_fact(CounterRng& rng);

/// Tokens [begin, end) of a stretch.
struct TokenRange {
  int64_t begin = 0, end = 0;
};

struct RecallOptions {
  int64_t facts = 8;           ///< planted in a stretch
  int64_t echoes = 4;          ///< passages of 24 to 96 tokens that come again
  int64_t min_distance = 640;  ///< tokens between a fact or passage and its return
  TokenRange source{};         ///< of the text: where they stand first; empty: anywhere
  int64_t first_return = 0;    ///< token of the text before which none returns
};

/// Tokens at the end of a text that planting may push out.
int64_t planted_tokens(const RecallOptions& options);

struct RecallStretch {
  std::vector<int32_t> ids;
  std::vector<int64_t> focus;       ///< ascending: positions whose next token has to be recalled
  std::vector<TokenRange> sources;  ///< of each focus position: where the detail stands
  /// Ascending: the tokens that a planted detail gives or, of a task, that are to be said. The
  /// first token of a stretch is none of them.
  std::vector<int64_t> answer;
  bool is_task = false;
};

/// Plants facts and echoes into `text`: as many tokens as it had, its end falling off. A text too
/// short for the distance comes back as it is.
RecallStretch plant_recall(const std::vector<int32_t>& text, const Encode& encode,
                           const RecallOptions& options, CounterRng& rng);

}  // namespace dsrasq::train
