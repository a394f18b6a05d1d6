#pragma once

// The part of the parser that reads expressions.

#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/text/jinja_ast.h"
#include "dsrasq/text/jinja_lexer.h"

namespace dsrasq::text::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  // Counts how deep the parser has called itself, and refuses to go too deep.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.nesting_; }

   private:
    ExpressionParser& parser_;
  };

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take();
  bool skip_name(std::string_view name);
  bool skip_operator(std::string_view op);
  void expect_operator(std::string_view op);
  void expect(TokenKind kind);
  std::string expect_name();
  [[noreturn]] void fail_here(std::string_view what) const;
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

  ExprPtr make(ExprKind kind, std::string name = {}) const;
  /// Closes a node whose parts are complete: computes and checks its depth.
  ExprPtr finish(ExprPtr expr) const;

  ExprPtr parse_expression();
  /// One expression, or a tuple of them where a comma follows.
  ExprPtr parse_tuple(bool with_conditional, bool in_parentheses);
  ExprPtr parse_or();
  ExprPtr parse_filters(ExprPtr input);
  ExprPtr parse_filter(ExprPtr input);
  /// What set, for and with may assign to. `stop` ends a tuple.
  ExprPtr parse_target(bool with_namespace, std::string_view stop);

  /// The macros being parsed, innermost last, which learn of the special names they use.
  std::vector<Macro*> open_macros_;

 private:
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_name();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr expr);
  ExprPtr parse_filter_expression(ExprPtr expr);
  ExprPtr parse_test(ExprPtr expr);
  ExprPtr parse_call(ExprPtr callee);
  void parse_arguments(Expr& call);
  ExprPtr parse_binary(std::vector<std::string_view> operators,
                       ExprPtr (ExpressionParser::*operand)());
  std::string parse_dotted_name();

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
};

}  // namespace dsrasq::text::jinja
