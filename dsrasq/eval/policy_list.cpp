#include "dsrasq/eval/policy_list.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/attention_rag.h"
#include "dsrasq/policy/baselines.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInPolicyList = "eval.policy_list";

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class T>
bool parse(std::string_view text, T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    value = text;
    return !text.empty();
  } else {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size();
  }
}

// One "key=value" of a policy.
void set_option(policy::PolicyOptions& options, std::string_view setting, std::string_view label) {
  const size_t equals = setting.find('=');
  DSRASQ_CHECK(equals != std::string_view::npos, kInvalidArgument, kInPolicyList, "policy '", label,
               "': '", setting, "' is not KEY=VALUE");
  const std::string_view key = setting.substr(0, equals), text = setting.substr(equals + 1);
  bool known = false;
  options.visit([&](auto& field, const char* name, const char*) {
    if (key != name || key == "policy") return;
    known = true;
    DSRASQ_CHECK(
        parse(text, field), kInvalidArgument, kInPolicyList, "policy '", label, "': ", key, " is '",
        text, "', want ",
        std::is_arithmetic_v<std::remove_reference_t<decltype(field)>> ? "a number" : "a word");
  });
  DSRASQ_CHECK(known, kInvalidArgument, kInPolicyList, "policy '", label, "' has no option '", key,
               "'");
}

}  // namespace

std::vector<NamedPolicy> parse_policies(std::string_view list, const policy::PolicyOptions& base,
                                        PromptMethods prompt_methods) {
  std::vector<NamedPolicy> policies;
  for (const std::string_view label : split(list, ',')) {
    const std::vector<std::string_view> parts = split(label, ':');
    NamedPolicy named{std::string(label), base};
    named.options.name = parts.front();
    if (parts.front() == kAttentionRag) {
      DSRASQ_CHECK(prompt_methods == PromptMethods::kTaken, kInvalidArgument, kInPolicyList,
                   "policy '", label,
                   "' prunes the texts of a question: eval qa and its like take ",
                   "it, this command does not");
      named.prunes_prompt = true;
      named.options.name = "full";
    }
    for (size_t i = 1; i < parts.size(); ++i) set_option(named.options, parts[i], label);
    policy::check_options(named.options);
    for (const NamedPolicy& other : policies)
      DSRASQ_CHECK(other.label != label, kInvalidArgument, kInPolicyList, "policy '", label,
                   "' is in the list twice");
    policies.push_back(std::move(named));
  }
  return policies;
}

void check_question_last(const std::vector<NamedPolicy>& policies) {
  for (const NamedPolicy& named : policies)
    DSRASQ_CHECK(named.options.retention != "question", kInvalidArgument, kInPolicyList, "policy '",
                 named.label, "': retention question needs the question before the texts, and ",
                 "these tasks ask it behind them");
}

void mark_untrained(nlohmann::ordered_json& row, std::string_view label) {
  if (policy::baseline_is_untrained(label.substr(0, label.find(':')))) row["trained"] = false;
}

Shard parse_shard(std::string_view text) {
  Shard shard;
  if (text.empty()) return shard;
  const size_t slash = text.find('/');
  const bool reads = slash != std::string_view::npos && parse(text.substr(0, slash), shard.index) &&
                     parse(text.substr(slash + 1), shard.count);
  DSRASQ_CHECK(reads && shard.index >= 0 && shard.index < shard.count, kInvalidArgument,
               kInPolicyList, "shard is '", text, "', want I/N with I from 0 to N-1");
  return shard;
}

}  // namespace dsrasq::eval
