#include "dsrasq/eval/task_prompt.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "dsrasq/core/error.h"
#include "dsrasq/metrics/python_text.h"
#include "dsrasq/text/chat_template.h"

namespace dsrasq::eval {
namespace {

using View = std::string_view;

constexpr const char* kWhere = "eval.task_prompt";
constexpr View kMark = "@@MESSAGE@@";  // stands for the message in a rendered chat template

std::string language_name(const std::string& code) {
  constexpr std::array<std::pair<View, View>, 14> kNames{{{"cs", "Czech"},
                                                          {"de", "German"},
                                                          {"en", "English"},
                                                          {"es", "Spanish"},
                                                          {"et", "Estonian"},
                                                          {"fi", "Finnish"},
                                                          {"fr", "French"},
                                                          {"it", "Italian"},
                                                          {"nl", "Dutch"},
                                                          {"pl", "Polish"},
                                                          {"pt", "Portuguese"},
                                                          {"ro", "Romanian"},
                                                          {"ru", "Russian"},
                                                          {"tr", "Turkish"}}};
  for (const auto& [known, name] : kNames)
    if (known == code) return std::string(name);
  throw Error(ErrorCode::kInvalidArgument, kWhere,
              concat("no language is known by \"", code,
                     "\": name the files by their languages, as test.en test.de"));
}

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string shown(DocumentLayout layout, const data::TaskDocument& document, size_t number) {
  switch (layout) {
    case DocumentLayout::kPassages:
      return concat("Passage ", number, document.title.empty() ? "" : ": ", document.title, '\n',
                    document.text, "\n\n");
    case DocumentLayout::kPlain: return document.text;
    case DocumentLayout::kLines: return document.text + '\n';
    case DocumentLayout::kTurns: return concat(document.title, ": ", document.text, '\n');
    case DocumentLayout::kPairs: break;
  }
  return concat(number == 1 ? "{" : ",\n ", json_string(document.title), ": ",
                json_string(document.text));
}

// Each of the names in braces by its value, in one pass: values are not looked into.
std::string filled(View text, const std::vector<std::pair<View, View>>& values) {
  std::string out;
  while (!text.empty()) {
    const size_t at = std::min(text.find('{'), text.size());
    out += text.substr(0, at);
    text.remove_prefix(at);
    const auto value = std::find_if(values.begin(), values.end(),
                                    [&](const auto& pair) { return text.starts_with(pair.first); });
    if (value != values.end()) out += value->second;
    const size_t taken = value != values.end() ? value->first.size() : text.empty() ? 0 : 1;
    if (value == values.end()) out += text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return out;
}

std::string special_text(const text::Tokenizer& tokenizer, std::optional<int32_t> id) {
  return id ? tokenizer.decode(std::span(&*id, 1), false) : "";
}

}  // namespace

PromptText prompt_text(const TaskRules& rules, const data::TaskSample& sample, View option) {
  const bool translates = sample.format == data::TaskFormat::kParallel;
  const std::string from = translates ? language_name(sample.from_language) : "";
  const std::string to = translates ? language_name(sample.to_language) : "";
  const std::vector<std::pair<View, View>> values{
      {"{from}", from}, {"{to}", to}, {"{question}", sample.question}, {"{option}", option}};
  PromptText prompt{filled(rules.before, values)};
  for (size_t i = 0; i < sample.documents.size(); ++i) {
    const size_t begin = prompt.text.size();
    prompt.text += shown(rules.layout, sample.documents[i], i + 1);
    if (sample.documents[i].is_supporting) prompt.supporting.push_back({begin, prompt.text.size()});
  }
  if (rules.layout == DocumentLayout::kPairs) prompt.text += '}';
  prompt.question_at = prompt.text.size();
  prompt.text += filled(rules.after, values) + sample.answer_start;
  return prompt;
}

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
               kBadInput, kWhere, "the model's chat template does not show a message once");
  head_ = tokenizer.encode(rendered.substr(0, at), {.parse_special = true});
  tail_ = tokenizer.encode(rendered.substr(at + kMark.size()), {.parse_special = true});
  stops_ = chat.stop_strings();
}

PromptTokens PromptEncoder::encode(const PromptText& prompt) const {
  std::vector<text::TokenSpan> spans = tokenizer_.encode_with_offsets(prompt.text);
  const auto around = static_cast<int64_t>(head_.size() + tail_.size());
  const int64_t most = options_.max_context > 0 ? options_.max_context - around : INT64_MAX;
  DSRASQ_CHECK(most >= 2, kInvalidArgument, kWhere, "max-context is ", options_.max_context,
               " tokens, of which the chat template alone takes ", around);
  if (static_cast<int64_t>(spans.size()) > most) {
    const int64_t first = most - most / 2;
    spans.erase(spans.begin() + first, spans.end() - most / 2);
  }
  PromptTokens tokens{head_, std::vector<bool>(head_.size())};
  for (const text::TokenSpan& span : spans) {
    const auto covers = [&](const PromptText::Part& part) {
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
