#include "dsrasq/text/jinja_expression_parser.h"

#include <algorithm>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

constexpr int kMaxNesting = 150;
constexpr int kMaxTreeDepth = 400;

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd: return "the end of the template";
    case TokenKind::kData: return "text";
    case TokenKind::kOutputBegin: return "'{{'";
    case TokenKind::kOutputEnd: return "'}}'";
    case TokenKind::kBlockBegin: return "'{%'";
    case TokenKind::kBlockEnd: return "'%}'";
    case TokenKind::kString: return "a string";
    default: return concat('\'', token.text, '\'');
  }
}

}  // namespace

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (parser.nesting_ >= kMaxNesting) {
    parser.fail_here(concat("nested more than ", kMaxNesting, " deep"));
  }
  ++parser.nesting_;
}

Token ExpressionParser::take() {
  Token token = current();
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  ++at_;
  return true;
}

bool ExpressionParser::skip_operator(std::string_view op) {
  if (!current().is_operator(op)) return false;
  ++at_;
  return true;
}

void ExpressionParser::expect_operator(std::string_view op) {
  if (!skip_operator(op)) fail_unexpected(concat('\'', op, '\''));
}

void ExpressionParser::expect(TokenKind kind) {
  if (current().kind != kind) fail_unexpected(describe({.kind = kind}));
  take();
}

std::string ExpressionParser::expect_name() {
  if (current().kind != TokenKind::kName) fail_unexpected("a name");
  return take().text;
}

void ExpressionParser::fail_here(std::string_view what) const { fail_at(current().line, what); }

void ExpressionParser::fail_unexpected(std::string_view wanted) const {
  fail_here(concat("found ", describe(current()), ", want ", wanted));
}

ExprPtr ExpressionParser::make(ExprKind kind, std::string name) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = current().line;
  expr->name = std::move(name);
  return expr;
}

ExprPtr ExpressionParser::finish(ExprPtr expr) const {
  const auto add = [&](const ExprPtr& part) {
    if (part) expr->depth = std::max(expr->depth, part->depth + 1);
  };
  for (const ExprPtr& part : expr->args) add(part);
  for (const auto& [name, part] : expr->keywords) add(part);
  add(expr->star);
  add(expr->double_star);
  if (expr->depth > kMaxTreeDepth) {
    fail_at(expr->line, concat("the expression is nested more than ", kMaxTreeDepth, " deep"));
  }
  return expr;
}

ExprPtr ExpressionParser::parse_expression() {
  const Nesting nesting(*this);
  ExprPtr expr = parse_or();
  while (current().is_name("if")) {
    ExprPtr choice = make(ExprKind::kConditional);
    take();
    choice->args.push_back(parse_or());
    choice->args.push_back(std::move(expr));
    choice->args.push_back(skip_name("else") ? parse_expression() : nullptr);
    expr = finish(std::move(choice));
  }
  return expr;
}

ExprPtr ExpressionParser::parse_tuple(bool with_conditional, bool in_parentheses) {
  ExprPtr tuple = make(ExprKind::kTuple);
  const auto is_end = [&] {
    return current().kind == TokenKind::kOutputEnd || current().kind == TokenKind::kBlockEnd ||
           current().is_operator(")");
  };
  bool has_comma = false;
  while (!is_end()) {
    tuple->args.push_back(with_conditional ? parse_expression() : parse_or());
    if (!skip_operator(",")) break;
    has_comma = true;
  }
  if (!has_comma && !tuple->args.empty()) return std::move(tuple->args[0]);
  if (!has_comma && !in_parentheses) fail_unexpected("an expression");
  return finish(std::move(tuple));
}

ExprPtr ExpressionParser::parse_or() {
  ExprPtr left = parse_and();
  while (current().is_name("or")) {
    ExprPtr expr = make(ExprKind::kOr);
    take();
    expr->args.push_back(std::move(left));
    expr->args.push_back(parse_and());
    left = finish(std::move(expr));
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  ExprPtr left = parse_not();
  while (current().is_name("and")) {
    ExprPtr expr = make(ExprKind::kAnd);
    take();
    expr->args.push_back(std::move(left));
    expr->args.push_back(parse_not());
    left = finish(std::move(expr));
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  ExprPtr expr = make(ExprKind::kNot);
  take();
  expr->args.push_back(parse_not());
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::parse_compare() {
  ExprPtr compare = make(ExprKind::kCompare);
  compare->args.push_back(parse_sum());
  while (true) {
    const Token& token = current();
    const bool is_symbol = token.is_operator("==") || token.is_operator("!=") ||
                           token.is_operator("<") || token.is_operator("<=") ||
                           token.is_operator(">") || token.is_operator(">=");
    const bool is_not_in = token.is_name("not") && next().is_name("in");
    if (!is_symbol && !is_not_in && !token.is_name("in")) break;
    if (is_not_in) take();
    const std::string op = take().text;
    compare->operators.push_back(is_not_in ? "not in" : op);
    compare->args.push_back(parse_sum());
  }
  if (compare->operators.empty()) return std::move(compare->args[0]);
  return finish(std::move(compare));
}

ExprPtr ExpressionParser::parse_binary(std::vector<std::string_view> operators,
                                       ExprPtr (ExpressionParser::*operand)()) {
  ExprPtr left = (this->*operand)();
  while (std::any_of(operators.begin(), operators.end(),
                     [&](std::string_view op) { return current().is_operator(op); })) {
    ExprPtr expr = make(ExprKind::kBinary, current().text);
    take();
    expr->args.push_back(std::move(left));
    expr->args.push_back((this->*operand)());
    left = finish(std::move(expr));
  }
  return left;
}

ExprPtr ExpressionParser::parse_sum() {
  return parse_binary({"+", "-"}, &ExpressionParser::parse_concat);
}

ExprPtr ExpressionParser::parse_concat() {
  ExprPtr parts = make(ExprKind::kConcat);
  parts->args.push_back(parse_product());
  while (skip_operator("~")) parts->args.push_back(parse_product());
  return parts->args.size() == 1 ? std::move(parts->args[0]) : finish(std::move(parts));
}

ExprPtr ExpressionParser::parse_product() {
  return parse_binary({"*", "/", "//", "%"}, &ExpressionParser::parse_power);
}

ExprPtr ExpressionParser::parse_power() {
  ExprPtr left = parse_unary(true);
  while (current().is_operator("**")) {
    ExprPtr expr = make(ExprKind::kBinary, "**");
    take();
    expr->args.push_back(std::move(left));
    expr->args.push_back(parse_unary(true));
    left = finish(std::move(expr));
  }
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
  const Nesting nesting(*this);
  ExprPtr expr;
  if (current().is_operator("-") || current().is_operator("+")) {
    expr = make(ExprKind::kUnary, current().text);
    take();
    expr->args.push_back(parse_unary(false));
    expr = finish(std::move(expr));
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filters ? parse_filter_expression(std::move(expr)) : std::move(expr);
}

ExprPtr ExpressionParser::parse_name() {
  const std::string& name = current().text;
  ExprPtr literal = make(ExprKind::kLiteral);
  if (name == "true" || name == "True") {
    literal->value = Value(true);
  } else if (name == "false" || name == "False") {
    literal->value = Value(false);
  } else if (name == "none" || name == "None") {
    literal->value = None{};
  } else {
    literal->kind = ExprKind::kName;
    literal->name = name;
    for (Macro* macro : open_macros_) {
      macro->takes_varargs = macro->takes_varargs || name == "varargs";
      macro->takes_kwargs = macro->takes_kwargs || name == "kwargs";
      macro->takes_caller = macro->takes_caller || name == "caller";
    }
  }
  take();
  return literal;
}

ExprPtr ExpressionParser::parse_primary() {
  ExprPtr literal = make(ExprKind::kLiteral);
  switch (current().kind) {
    case TokenKind::kName: return parse_name();
    case TokenKind::kString: {
      std::string text;
      while (current().kind == TokenKind::kString) text += take().text;
      literal->value = Value(std::move(text));
      return literal;
    }
    case TokenKind::kInteger: literal->value = Value(take().integer); return literal;
    case TokenKind::kFloat: literal->value = Value(take().number); return literal;
    default: break;
  }
  if (current().is_operator("[")) return parse_list();
  if (current().is_operator("{")) return parse_dict();
  if (!skip_operator("(")) fail_unexpected("an expression");
  ExprPtr expr = parse_tuple(true, true);
  expect_operator(")");
  return expr;
}

ExprPtr ExpressionParser::parse_list() {
  ExprPtr list = make(ExprKind::kList);
  take();
  while (!current().is_operator("]")) {
    list->args.push_back(parse_expression());
    if (!skip_operator(",")) break;
  }
  expect_operator("]");
  return finish(std::move(list));
}

ExprPtr ExpressionParser::parse_dict() {
  ExprPtr dict = make(ExprKind::kDict);
  take();
  while (!current().is_operator("}")) {
    dict->args.push_back(parse_expression());
    expect_operator(":");
    dict->args.push_back(parse_expression());
    if (!skip_operator(",")) break;
  }
  expect_operator("}");
  return finish(std::move(dict));
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr expr) {
  while (true) {
    if (current().is_operator(".") || current().is_operator("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (current().is_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
  ExprPtr expr = make(ExprKind::kAttribute);
  expr->args.push_back(std::move(object));
  if (skip_operator(".")) {
    if (current().kind == TokenKind::kInteger) {
      expr->kind = ExprKind::kItem;
      expr->args.push_back(parse_primary());
    } else {
      expr->name = expect_name();
    }
    return finish(std::move(expr));
  }
  expect_operator("[");
  const auto is_bound = [&] { return !current().is_operator(":") && !current().is_operator("]"); };
  if (is_bound()) expr->args.push_back(parse_expression());
  if (skip_operator("]")) {
    if (expr->args.size() != 2) fail_here("empty brackets after a value");
    expr->kind = ExprKind::kItem;
    return finish(std::move(expr));
  }
  if (!current().is_operator(":")) fail_unexpected("']' or ':'");
  expr->kind = ExprKind::kSlice;
  expr->args.resize(2);
  while (expr->args.size() < 4 && skip_operator(":")) {
    expr->args.push_back(is_bound() ? parse_expression() : nullptr);
  }
  expr->args.resize(4);
  expect_operator("]");
  return finish(std::move(expr));
}

ExprPtr ExpressionParser::parse_filter_expression(ExprPtr expr) {
  while (true) {
    if (current().is_operator("|")) {
      take();
      expr = parse_filter(std::move(expr));
    } else if (current().is_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (current().is_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect_name();
  while (skip_operator(".")) name += '.' + expect_name();
  return name;
}

ExprPtr ExpressionParser::parse_filter(ExprPtr input) {
  ExprPtr filter = make(ExprKind::kFilter);
  filter->name = parse_dotted_name();
  filter->args.push_back(std::move(input));
  if (current().is_operator("(")) parse_arguments(*filter);
  return finish(std::move(filter));
}

ExprPtr ExpressionParser::parse_filters(ExprPtr input) {
  while (skip_operator("|")) input = parse_filter(std::move(input));
  return input;
}

ExprPtr ExpressionParser::parse_test(ExprPtr input) {
  ExprPtr test = make(ExprKind::kTest);
  take();
  ExprPtr negation = skip_name("not") ? make(ExprKind::kNot) : nullptr;
  test->name = parse_dotted_name();
  test->args.push_back(std::move(input));
  const Token& token = current();
  const bool is_word = token.is_name("else") || token.is_name("or") || token.is_name("and");
  const bool is_value = token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
                        token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat ||
                        token.is_operator("[") || token.is_operator("{");
  if (token.is_operator("(")) {
    parse_arguments(*test);
  } else if (is_value && !is_word) {
    if (token.is_name("is")) fail_here("tests with 'is' cannot be chained");
    test->args.push_back(parse_postfix(parse_primary()));
  }
  test = finish(std::move(test));
  if (!negation) return test;
  negation->args.push_back(std::move(test));
  return finish(std::move(negation));
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  ExprPtr call = make(ExprKind::kCall);
  call->args.push_back(std::move(callee));
  parse_arguments(*call);
  return finish(std::move(call));
}

void ExpressionParser::parse_arguments(Expr& call) {
  expect_operator("(");
  while (!current().is_operator(")")) {
    const bool is_keyword = current().kind == TokenKind::kName && next().is_operator("=");
    const bool is_late = call.double_star != nullptr;
    if (is_late || (call.star && !is_keyword && !current().is_operator("**")) ||
        (!call.keywords.empty() && !is_keyword && !current().is_operator("*") &&
         !current().is_operator("**"))) {
      fail_here("arguments in an order that Python does not allow");
    }
    if (skip_operator("**")) {
      call.double_star = parse_expression();
    } else if (skip_operator("*")) {
      call.star = parse_expression();
    } else if (is_keyword) {
      std::string name = expect_name();
      take();
      call.keywords.emplace_back(std::move(name), parse_expression());
    } else {
      call.args.push_back(parse_expression());
    }
    if (!skip_operator(",")) break;
  }
  expect_operator(")");
}

ExprPtr ExpressionParser::parse_target(bool with_namespace, std::string_view stop) {
  ExprPtr tuple = make(ExprKind::kTuple);
  bool has_comma = false;
  while (!current().is_name(stop) && !current().is_operator(stop) && !current().is_operator(")") &&
         current().kind != TokenKind::kBlockEnd) {
    const Nesting nesting(*this);
    if (skip_operator("(")) {
      tuple->args.push_back(parse_target(with_namespace, ")"));
      expect_operator(")");
    } else {
      ExprPtr target = parse_primary();
      if (target->kind != ExprKind::kName)
        fail_at(target->line, "cannot assign to this expression");
      if (with_namespace && current().is_operator(".")) {
        ExprPtr attribute = make(ExprKind::kAttribute);
        take();
        attribute->name = expect_name();
        attribute->args.push_back(std::move(target));
        target = finish(std::move(attribute));
      }
      tuple->args.push_back(std::move(target));
    }
    if (!skip_operator(",")) break;
    has_comma = true;
  }
  if (tuple->args.empty()) fail_unexpected("a name to assign to");
  return has_comma ? finish(std::move(tuple)) : std::move(tuple->args[0]);
}

}  // namespace dsrasq::text::jinja
