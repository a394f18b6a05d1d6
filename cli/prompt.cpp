#include "cli/prompt.h"

#include <optional>
#include <span>
#include <string_view>

#include "dsrasq/core/error.h"
#include "dsrasq/text/chat_template.h"

namespace dsrasq::cli {
namespace {

// The words around a question about texts.
constexpr const char* kQuestionFirst = "Read the text and answer this question: ";
constexpr const char* kQuestionLast = "\n\nAnswer from the text above: ";

// Stand for words in a rendered template.
constexpr std::string_view kUserMark = "@@USER-WORDS@@", kAnswerMark = "@@ANSWER-WORDS@@";

std::string special_text(const text::Tokenizer& tokenizer, std::optional<int32_t> id) {
  if (!id) return "";
  return tokenizer.decode(std::span(&*id, 1), false);
}

size_t place_of(const std::string& rendered, std::string_view mark) {
  const size_t at = rendered.find(mark);
  DSRASQ_CHECK(at != std::string::npos && rendered.find(mark, at + 1) == std::string::npos,
               kBadInput, "cli.prompt",
               "the model's chat template does not show a message once and as it is");
  return at;
}

}  // namespace

Prompt::Prompt(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  const std::string& source = tokenizer.chat_template_source();
  const text::ChatTemplate chat =
      source.empty() ? text::ChatTemplate::fallback() : text::ChatTemplate(source);
  stops_ = chat.stop_strings();
  text::ChatInput input;
  input.messages = {{"user", std::string(kUserMark)}};
  input.bos_token = special_text(tokenizer, tokenizer.bos());
  input.eos_token = special_text(tokenizer, tokenizer.eos());
  const std::string first = chat.render(input);
  const size_t at = place_of(first, kUserMark);
  head_ = first.substr(0, at);
  tail_ = first.substr(at + kUserMark.size());

  input.messages = {
      {"user", "x"}, {"assistant", std::string(kAnswerMark)}, {"user", std::string(kUserMark)}};
  const std::string later = chat.render(input);
  const size_t answer_end = place_of(later, kAnswerMark) + kAnswerMark.size();
  const size_t next = place_of(later, kUserMark);
  DSRASQ_CHECK(answer_end <= next, kBadInput, "cli.prompt",
               "the model's chat template changes the order of messages");
  next_head_ = later.substr(answer_end, next - answer_end);
}

std::vector<int32_t> Prompt::encode(const std::string& before, const std::string& words,
                                    const std::string& after) const {
  std::vector<int32_t> ids = tokenizer_.encode(before, {.parse_special = true});
  for (const auto& part :
       {tokenizer_.encode(words), tokenizer_.encode(after, {.parse_special = true})})
    ids.insert(ids.end(), part.begin(), part.end());
  return ids;
}

std::vector<int32_t> Prompt::before_texts(const std::string& question) const {
  return encode(head_, question.empty() ? "" : kQuestionFirst + question + "\n\n", "");
}

std::vector<int32_t> Prompt::ask(const std::string& question) const {
  return encode("", kQuestionLast + question, tail_);
}

std::vector<int32_t> Prompt::turn(const std::string& message, bool is_first) const {
  return encode(is_first ? head_ : next_head_, message, tail_);
}

std::vector<std::string> Prompt::with_stops(std::vector<std::string> stops) const {
  stops.insert(stops.end(), stops_.begin(), stops_.end());
  return stops;
}

}  // namespace dsrasq::cli
