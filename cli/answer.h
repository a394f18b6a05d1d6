#pragma once

// Generating an answer in front of the user, and what results say about it.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "cli/reading.h"
#include "cli/session_setup.h"

namespace dsrasq::cli {

/// An answer and what it read.
struct Answer {
  session::GenerateResult generated;
  double first_token_ms = 0;  ///< from the first token of the question on
  int64_t prompt_tokens = 0;
  std::vector<policy::RetrievedToken> retrieved;
};

/// Reads the prompt and generates; `on_text` gets the answer as it comes. With `recording` it notes
/// what was retrieved on the way. `progress` may be null.
Answer answer_prompt(session::Session& session, std::span<const int32_t> prompt,
                     const AnswerOptions& options, bool recording,
                     const std::function<void(std::string_view)>& on_text,
                     const session::ReadProgress& progress = nullptr);

/// The same for a command that shows one answer: prints it whole lines. Throws kInterrupted when
/// Ctrl-C ended it.
Answer print_answer(session::Session& session, std::span<const int32_t> prompt,
                    const AnswerOptions& options, bool recording, const Console& console);

/// `answer, finish_reason, answer_tokens, context_tokens, ...`: the keys that all answers have.
nlohmann::ordered_json answer_json(const session::Session& session, const Answer& answer,
                                   const ReadSpeed& reading);
/// `[{file, start, end, weight, text}]`.
nlohmann::ordered_json passages_json(const std::vector<session::Passage>& passages);
/// The passages for people; `reread`: whether the answer had nothing else to read.
std::string passages_text(const std::vector<session::Passage>& passages, bool reread);

}  // namespace dsrasq::cli
