#include "dsrasq/text/chat_template.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/text/jinja_interpreter.h"
#include "dsrasq/text/jinja_json.h"
#include "dsrasq/text/jinja_parser.h"

namespace dsrasq::text {

namespace jinja {
struct Program {
  Block body;
};
}  // namespace jinja

namespace {

constexpr const char* kInChatTemplate = "text.chat_template";

constexpr const char* kFallback =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content | trim }}\n\n"
    "{% elif message.role == 'user' %}User: {{ message.content | trim }}\n\n"
    "{% elif message.role == 'assistant' %}Assistant: {{ message.content | trim }}\n\n"
    "{% else %}{{ message.role | capitalize }}: {{ message.content | trim }}\n\n"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}";

jinja::Value message_value(const ChatMessage& message) {
  jinja::Dict dict;
  dict.entries.emplace_back(jinja::Value("role"), jinja::Value(message.role));
  dict.entries.emplace_back(jinja::Value("content"), jinja::Value(message.content));
  return jinja::make_dict(std::move(dict));
}

// The variables that transformers sets; those of `extra` come later and win.
jinja::Variables variables_of(const ChatInput& input) {
  std::vector<jinja::Value> messages;
  for (const ChatMessage& message : input.messages) messages.push_back(message_value(message));
  jinja::Variables variables;
  variables.emplace_back("messages", jinja::make_list(std::move(messages)));
  variables.emplace_back("tools", jinja::None{});
  variables.emplace_back("documents", jinja::None{});
  variables.emplace_back("add_generation_prompt", jinja::Value(input.add_generation_prompt));
  variables.emplace_back("bos_token", jinja::Value(input.bos_token));
  variables.emplace_back("eos_token", jinja::Value(input.eos_token));
  if (input.extra == nullptr) return variables;
  DSRASQ_CHECK(input.extra->is_object(), kBadInput, kInChatTemplate,
               "the template's extra variables are not a JSON object");
  for (const auto& [name, value] : input.extra->items()) {
    try {
      variables.emplace_back(name, jinja::from_json(value));
    } catch (const jinja::Failure& failure) {
      throw Error(ErrorCode::kBadInput, kInChatTemplate,
                  concat("template variable '", name, "': ", failure.what()));
    }
  }
  return variables;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  return parts;
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source) : source_(std::move(source)) {
  program_ = std::make_unique<const jinja::Program>(jinja::Program{jinja::parse(source_)});
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

ChatTemplate ChatTemplate::fallback() {
  ChatTemplate plain(kFallback);
  plain.stop_strings_ = {"\nUser:"};
  return plain;
}

std::string ChatTemplate::render(const ChatInput& input) const {
  return jinja::Interpreter(program_->body, variables_of(input),
                            input.now ? *input.now : local_time())
      .run();
}

}  // namespace dsrasq::text
