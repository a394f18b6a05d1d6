#pragma once

// What the model is told: the one place with the words around texts, questions and turns. A text is
// read before anybody knows the question, so a prompt comes in pieces.

#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/text/tokenizer.h"

namespace dsrasq::cli {

/// Users' words never become special tokens; the template's do.
class Prompt {
 public:
  /// Uses the model's chat template, or plain headings for a model without one. Throws kBadInput
  /// when the template cannot be used. `tokenizer` must outlive this.
  explicit Prompt(const text::Tokenizer& tokenizer);

  /// The start of a user's message, up to where the texts begin. `question`, where it is not empty,
  /// stands before them.
  std::vector<int32_t> before_texts(const std::string& question = "") const;
  /// The question behind the texts, up to where the answer begins.
  std::vector<int32_t> ask(const std::string& question) const;
  /// A user's whole message, up to where the answer begins; `is_first` in its session.
  std::vector<int32_t> turn(const std::string& message, bool is_first) const;

  /// `stops` and the texts that end an answer where the model has no token for it.
  std::vector<std::string> with_stops(std::vector<std::string> stops) const;

 private:
  /// Markup, then words, then markup.
  std::vector<int32_t> encode(const std::string& before, const std::string& words,
                              const std::string& after) const;

  const text::Tokenizer& tokenizer_;
  std::string head_, tail_;  // around the first user's message
  std::string next_head_;    // from the end of an answer to the next user's message
  std::vector<std::string> stops_;
};

}  // namespace dsrasq::cli
