#pragma once

// Prompts as tokens.

#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/data/task_prompt.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::eval {

struct PromptTokens {
  std::vector<int32_t> ids;
  std::vector<bool> is_supporting;  ///< of each id
  size_t question_at = 0;           ///< ids before it are of the documents and what is before them
};

struct PromptOptions {
  bool chat = false;  ///< as a user's message, by the model's chat template
  int64_t max_context =
      0;  ///< tokens; of a longer prompt the middle is left out (LongBench); 0: any
};

/// Texts to tokens for one model. What looks like a special token in a text stays text.
class PromptEncoder {
 public:
  /// Throws kBadInput when the chat template cannot be used. `tokenizer` must outlive this.
  PromptEncoder(const text::Tokenizer& tokenizer, const PromptOptions& options);

  PromptTokens encode(const data::PromptText& prompt) const;

  /// Texts that end an answer where the model has no token for it.
  const std::vector<std::string>& stops() const { return stops_; }

 private:
  const text::Tokenizer& tokenizer_;
  PromptOptions options_;
  std::vector<int32_t> head_, tail_;  // around the message
  std::vector<std::string> stops_;
};

}  // namespace dsrasq::eval
