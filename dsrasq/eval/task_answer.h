#pragma once

// One sample answered by a model under one policy.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/task_prompt.h"
#include "dsrasq/eval/task_rules.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {

struct TaskAnswer {
  std::string text;  ///< what counts of it; the chosen options' numbers, as "0,2"
  int64_t prompt_tokens = 0, answer_tokens = 0;
  double mean_retrieved = 0;
  uint64_t cache_bytes = 0;
  std::optional<double> cache_hit_rate{};  ///< policy::cache_hit_rate, of the whole reading
  double seconds = 0;                      ///< in all
  double first_token_seconds =
      0;  ///< until the first token was written; 0 where options are judged
  /// Share of the weight of what the question and the answer retrieved that lies on supporting
  /// documents, and these documents' share of the prompt, which is what chance would give. Nothing
  /// where nothing was retrieved or no document is supporting.
  struct Support {
    double retrieved = 0, of_prompt = 0;
  };
  std::optional<Support> support;
};

/// Goes on greedily from what `session` has read, at most `max_tokens`; `stops` end it. Where one
/// line counts, generating ends with it, and empty lines before it are gone through. Fills in the
/// text, its tokens and `first_token_seconds`, from here. Throws kInterrupted.
TaskAnswer write_answer(session::Session& session, const TaskRules& rules, int64_t max_tokens,
                        const std::vector<std::string>& stops = {});

class TaskAnswerer {
 public:
  /// `max_tokens` of 0: as the rules say. `question_agnostic`: the prompt ends before the question
  /// (Session::prompt_ended), so that what a policy keeps of the texts is chosen without it.
  /// `engine` must outlive this.
  TaskAnswerer(const session::Engine& engine, const PromptOptions& options, int64_t max_tokens,
               bool question_agnostic = false)
      : engine_(engine),
        encoder_(engine.tokenizer(), options),
        max_tokens_(max_tokens),
        question_agnostic_(question_agnostic) {}

  /// Greedy. Where the policy prunes, of the texts stays what ContextPruner leaves, as one text;
  /// `prompt_tokens` counts that, `seconds` and `cache_bytes` cover pruning too. Options that are
  /// to be judged are asked for one by one, each in a session of its own; one is chosen when yes is
  /// likelier than no. Throws kInterrupted.
  TaskAnswer answer(const NamedPolicy& policy, const TaskRules& rules,
                    const data::TaskSample& sample) const;

  /// 16 hex digits over everything that an answer depends on.
  std::string fingerprint(const NamedPolicy& policy, const TaskRules& rules,
                          const data::TaskSample& sample) const;

 private:
  int64_t most_tokens(const TaskRules& rules) const;
  // Reads a prompt up to its question.
  void read_texts(session::Session& session, const PromptTokens& prompt) const;
  TaskAnswer generate(const NamedPolicy& policy, const TaskRules& rules,
                      const PromptTokens& prompt) const;
  TaskAnswer answer_pruned(const NamedPolicy& policy, const TaskRules& rules,
                           const data::TaskSample& sample) const;
  TaskAnswer judge(const NamedPolicy& policy, const TaskRules& rules,
                   const data::TaskSample& sample) const;

  const session::Engine& engine_;
  PromptEncoder encoder_;
  int64_t max_tokens_;
  bool question_agnostic_;
};

}  // namespace dsrasq::eval
