#include "dsrasq/eval/task_prompt.h"

#include <algorithm>
#include <optional>
#include <span>

#include "dsrasq/core/error.h"
#include "dsrasq/text/chat_template.h"

namespace dsrasq::eval {
namespace {

using View = std::string_view;

constexpr const char* kInTaskPrompt = "eval.task_prompt";
constexpr View kMark = "@@MESSAGE@@";  // stands for the message in a rendered chat template

std::string special_text(const text::Tokenizer& tokenizer, std::optional<int32_t> id) {
  return id ? tokenizer.decode(std::span(&*id, 1), false) : "";
}

}  // namespace

PromptEncoder::PromptEncoder(const text::Tokenizer& tokenizer, const PromptOptions& options)
    : tokenizer_(tokenizer), options_(options) {
  if (!options.chat) {
    if (const auto bos = tokenizer.bos(); bos && tokenizer.adds_bos()) head_ = {*bos};
    return;
  }
  const std::string& source = tokenizer.chat_template_source();
  const text::ChatTemplate chat =
      source.empty() ? text::ChatTemplate::fallback() : text::ChatTemplate(source);
  text::ChatInput input;
  input.messages = {{"user", std::string(kMark)}};
  input.bos_token = special_text(tokenizer, tokenizer.bos());
  input.eos_token = special_text(tokenizer, tokenizer.eos());
  const std::string rendered = chat.render(input);
  const size_t at = rendered.find(kMark);
  DSRASQ_CHECK(at != std::string::npos && rendered.find(kMark, at + 1) == std::string::npos,
               kBadInput, kInTaskPrompt, "the model's chat template does not show a message once");
  head_ = tokenizer.encode(rendered.substr(0, at), {.parse_special = true});
  tail_ = tokenizer.encode(rendered.substr(at + kMark.size()), {.parse_special = true});
  stops_ = chat.stop_strings();
}

PromptTokens PromptEncoder::encode(const data::PromptText& prompt) const {
  std::vector<text::TokenSpan> spans = tokenizer_.encode_with_offsets(prompt.text);
  const auto around = static_cast<int64_t>(head_.size() + tail_.size());
  const int64_t most = options_.max_context > 0 ? options_.max_context - around : INT64_MAX;
  DSRASQ_CHECK(most >= 2, kInvalidArgument, kInTaskPrompt, "max-context is ", options_.max_context,
               " tokens, of which the chat template alone takes ", around);
  if (static_cast<int64_t>(spans.size()) > most) {
    const int64_t first = most - most / 2;
    spans.erase(spans.begin() + first, spans.end() - most / 2);
  }
  PromptTokens tokens{head_, std::vector<bool>(head_.size())};
  for (const text::TokenSpan& span : spans) {
    const auto covers = [&](const data::PromptText::Part& part) {
      return span.begin >= part.begin && span.begin < part.end;
    };
    if (span.begin < prompt.question_at) tokens.question_at = tokens.ids.size() + 1;
    tokens.ids.push_back(span.id);
    tokens.is_supporting.push_back(
        std::any_of(prompt.supporting.begin(), prompt.supporting.end(), covers));
  }
  tokens.ids.insert(tokens.ids.end(), tail_.begin(), tail_.end());
  tokens.is_supporting.resize(tokens.ids.size());
  return tokens;
}

}  // namespace dsrasq::eval
