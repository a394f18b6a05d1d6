#pragma once

// Several policies in one run, and one run spread over several processes.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/policy/factory.h"

namespace dsrasq::eval {

/// A policy and what results call it.
struct NamedPolicy {
  std::string label;  ///< as it was asked for, e.g. "dsrasq:topk=64"
  policy::PolicyOptions options;
  /// The prompt is pruned first (attention_rag.h); what is left is read with full attention.
  bool prunes_prompt = false;
};

/// Whether a list may hold methods that shorten prompts, which only tasks have.
enum class PromptMethods : uint8_t { kRefused, kTaken };

/// Policies by commas, each a name and, after colons, options that differ from `base`:
/// "full,dsrasq,dsrasq:topk=64:window=1024". Keys are those of PolicyOptions::visit. Throws
/// kInvalidArgument naming the part that is unknown, no number, empty, there twice or refused.
std::vector<NamedPolicy> parse_policies(std::string_view list, const policy::PolicyOptions& base,
                                        PromptMethods prompt_methods = PromptMethods::kRefused);

/// Throws kInvalidArgument naming a policy that needs the question before the texts, for
/// evaluations that ask it behind them.
void check_question_last(const std::vector<NamedPolicy>& policies);

/// Marks the row of a policy that its paper trains and that runs here untrained with
/// `"trained": false` (policy::baseline_is_untrained); adds nothing to others.
void mark_untrained(nlohmann::ordered_json& row, std::string_view label);

/// Which samples of a run this process does: those whose number leaves `index` when divided by
/// `count`.
struct Shard {
  int64_t index = 0, count = 1;
  bool has(int64_t sample) const { return sample % count == index; }
};

/// "0/4" to "3/4"; empty is everything. Throws kInvalidArgument.
Shard parse_shard(std::string_view text);

/// Gets a line about how far a run is; may be null.
using Progress = std::function<void(const std::string& line)>;

}  // namespace dsrasq::eval
