#pragma once

// Questions along streams that are longer than any prompt: every policy reads a stream once, in its
// order, and is asked on the way.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/task_rules.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct StreamQuestion {
  data::TaskSample sample;  ///< its task, id, question and references
  std::string prompt{};     ///< read behind the stream, before the answer; may be empty
  std::string alone{};      ///< what the policy `alone` reads instead of the stream
};

struct StreamStep {
  std::string text;                         ///< read first
  std::vector<StreamQuestion> questions{};  ///< asked then, each as if it were the only one
  /// What the stream goes on with, and the right answer of the step's one question: how likely it
  /// was is a figure (`perplexity`). Empty where there is none.
  std::string reply{};
};

using Stream = std::vector<StreamStep>;

struct StreamRules {
  int64_t max_tokens = 32;         ///< of an answer, of which the first line counts
  int64_t max_words = 0;           ///< of an answer that count; 0: all
  bool question_agnostic = false;  ///< the stream is the prompt, the question comes behind it
  std::string predictions{};       ///< a .jsonl file that gets every answer as it comes
};

/// The policy that asks everything once more with full attention and without the stream, so that
/// what the stream adds can be told from what the question gives away.
inline constexpr const char* kAlone = "alone";

/// The first `most` words of a text, with single spaces between them.
std::string first_words(const std::string& text, int64_t most);

/// Runs and summarises. `base.name` lists the policies (parse_policies); `alone` comes last.
/// Answers are greedy, and a question leaves the memory that the stream is read into as it is
/// (StreamReader). Scores are `em`, `f1` and ROUGE, before them `perplexity` where the steps have
/// replies: all of them or none. The result is like that of run_tasks, and so is going on from
/// `predictions`.
nlohmann::ordered_json run_streams(const session::Engine& engine, const policy::PolicyOptions& base,
                                   const std::vector<Stream>& streams, const StreamRules& rules,
                                   const Progress& progress = nullptr);

}  // namespace dsrasq::eval
