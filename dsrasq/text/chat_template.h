#pragma once

// Chat messages to a prompt, by the model's own template: the part of Jinja2 that chat templates
// use, with the results of transformers' `apply_chat_template`.

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace dsrasq::text {

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant", "tool"
  std::string content;
};

struct ChatInput {
  std::vector<ChatMessage> messages;
  bool add_generation_prompt = true;  ///< end with the opening of the assistant's turn
  std::string bos_token, eos_token;   ///< texts of the special tokens, empty when there is none
  /// An object whose members become variables: `tools`, `documents`, `enable_thinking`, ... A
  /// member `messages` takes the place of the messages above, for contents that are lists and for
  /// calls of tools. Its order of keys is kept. May be null; not owned.
  const nlohmann::ordered_json* extra = nullptr;
  std::optional<std::tm> now;  ///< what strftime_now formats; the local time when empty
};

namespace jinja {
struct Program;
}

/// A chat template, parsed once. Rendering is const and may run in several threads.
///
/// Kept: expressions, filters, tests, methods, if, for, set, macro, call, filter, with, break,
/// continue, raw, generation, white-space control (trim_blocks and lstrip_blocks on). Refused:
/// include, import, extends, block, recursive loops, string formatting.
class ChatTemplate {
 public:
  /// Throws kBadInput naming the line when the template cannot be parsed.
  explicit ChatTemplate(std::string source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// For a model without a template: an optional system text, then "User: ..." and "Assistant: ..."
  /// lines with an empty line between them, after the first token of the model.
  static ChatTemplate fallback();

  /// The prompt, special tokens as text: tokenise it without adding any. Throws kBadInput naming
  /// the template's line and construct at an error of the template, `raise_exception` included,
  /// and when it exceeds the limits on loops, output (64 MiB) or work.
  std::string render(const ChatInput& input) const;

  const std::string& source() const { return source_; }
  /// Texts at which an answer ends besides the model's own end tokens.
  const std::vector<std::string>& stop_strings() const { return stop_strings_; }

 private:
  std::string source_;
  std::unique_ptr<const jinja::Program> program_;
  std::vector<std::string> stop_strings_;
};

}  // namespace dsrasq::text
