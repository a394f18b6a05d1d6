#pragma once

// Samples as plain prompts: one wording for each format, the same for training and evaluation.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/data/task_sample.h"

namespace dsrasq::data {

/// How documents follow one another in a prompt.
enum class DocumentLayout : uint8_t {
  kPassages,  ///< "Passage 1: title", the text, an empty line
  kPlain,     ///< the text as it is
  kLines,     ///< one text a line
  kTurns,     ///< "speaker: words" lines
  kPairs,     ///< one JSON object of titles and texts
};

/// The documents come first, so that they are read before the question is known.
struct TaskPrompt {
  DocumentLayout layout = DocumentLayout::kPlain;
  std::string_view before{};  ///< before the documents; {from} and {to} are languages
  std::string_view after{};   ///< behind them; {question}, {option}
};

/// The prompt of a format; of LongBench, whose data sets have their own, an empty one.
TaskPrompt task_prompt(TaskFormat format);

/// A prompt as text.
struct PromptText {
  struct Part {
    size_t begin = 0, end = 0;  ///< bytes
  };
  std::string text;
  size_t question_at = 0;          ///< where the documents end
  std::vector<Part> supporting{};  ///< documents that the answer stands in
};

/// `option` is one to be judged; empty otherwise. Throws kInvalidArgument for a translation from or
/// to a language that is known by no such code.
PromptText prompt_text(const TaskPrompt& prompt, const TaskSample& sample,
                       std::string_view option = "");

/// A document as it stands in a prompt; `number` counts from 1.
std::string shown_document(DocumentLayout layout, const TaskDocument& document, size_t number);

/// What is said to a sample, and the option that it judges, if any.
struct TaskAnswer {
  std::string option, text;
};

/// Each reference without the white space around it, or, where there are options to be judged
/// instead, "yes" or "no" to each that has a text. May be empty.
std::vector<TaskAnswer> task_answers(const TaskSample& sample);

/// `answer` as it goes on behind `prompt`: after a space unless the prompt ends with white space.
std::string answer_behind(std::string_view prompt, std::string_view answer);

/// Whether a format is there to evaluate with, never to train on.
bool only_evaluates(TaskFormat format);

}  // namespace dsrasq::data
