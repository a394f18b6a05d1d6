#pragma once

// Template source to tokens, with the white-space rules that transformers sets for chat templates:
// trim_blocks and lstrip_blocks on, one newline at the end dropped.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::text::jinja {

enum class TokenKind {
  kData,  ///< text outside of tags
  kOutputBegin,
  kOutputEnd,  ///< {{ }}
  kBlockBegin,
  kBlockEnd,  ///< {% %}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd  ///< of the template
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text{};  ///< a string's value with its escapes resolved
  int line = 1;
  int64_t integer = 0;
  double number = 0;

  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
  bool is_operator(std::string_view op) const { return kind == TokenKind::kOperator && text == op; }
};

/// The tokens of a template, a kEnd token last. Throws `dsrasq::Error` (kBadInput) naming the line.
std::vector<Token> tokenize(std::string_view source);

/// The error for a fault at a line of a template.
[[noreturn]] void fail_at(int line, std::string_view what);

}  // namespace dsrasq::text::jinja
