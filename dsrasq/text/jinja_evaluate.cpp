// The interpreter's expressions.

#include <algorithm>

#include "dsrasq/text/jinja_interpreter.h"
#include "dsrasq/text/jinja_interpreter_scope.h"

namespace dsrasq::text::jinja {

Value Interpreter::evaluate(const Expr& expr) {
  const Entered entered(*this);
  runtime_.work.charge(Work::kPerItem);
  at_ = &expr;
  return evaluate_node(expr);
}

Value Interpreter::evaluate_node(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kLiteral: return expr.value;
    case ExprKind::kName: return look_up(expr.name);
    case ExprKind::kList: return make_list(evaluate_all(expr.args));
    case ExprKind::kTuple: return make_sequence(SequenceKind::kTuple, evaluate_all(expr.args));
    case ExprKind::kDict: return evaluate_dict(expr);
    case ExprKind::kSlice: return evaluate_slice(expr);
    case ExprKind::kCall: return evaluate_call(expr, nullptr);
    case ExprKind::kConcat: return evaluate_concat(expr);
    case ExprKind::kCompare: return evaluate_compare(expr);
    case ExprKind::kNot: return Value(!is_true(evaluate(*expr.args[0])));
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      Value left = evaluate(*expr.args[0]);
      return is_true(left) == (expr.kind == ExprKind::kOr) ? left : evaluate(*expr.args[1]);
    }
    case ExprKind::kConditional:
      if (is_true(evaluate(*expr.args[0]))) return evaluate(*expr.args[1]);
      if (expr.args[2]) return evaluate(*expr.args[2]);
      return make_undefined(concat("the inline if-expression on line ", expr.line,
                                   " evaluated to false and has no else"));
    case ExprKind::kFilter:
    case ExprKind::kTest: {
      const Value input = expr.args[0] ? evaluate(*expr.args[0]) : Value(*block_text_);
      const Arguments arguments = evaluate_arguments(expr, 1);
      at_ = &expr;
      return expr.kind == ExprKind::kFilter
                 ? apply_filter(runtime_, expr.name, input, arguments)
                 : Value(apply_test(runtime_, expr.name, input, arguments));
    }
    default: break;
  }
  const std::vector<Value> parts = evaluate_all(expr.args);
  at_ = &expr;
  if (expr.kind == ExprKind::kUnary) return signed_value(expr.name, parts[0]);
  if (expr.kind == ExprKind::kBinary) {
    return arithmetic(runtime_.work, expr.name, parts[0], parts[1]);
  }
  return expr.kind == ExprKind::kAttribute ? get_attribute(runtime_, parts[0], expr.name)
                                           : get_item(runtime_, parts[0], parts[1]);
}

Value Interpreter::look_up(const std::string& name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const auto found = scope->variables.find(name);
    if (found != scope->variables.end()) return found->second;
  }
  return make_undefined(concat('\'', name, "' is undefined"));
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExprPtr>& expressions) {
  std::vector<Value> values;
  values.reserve(expressions.size());
  for (const ExprPtr& expression : expressions) values.push_back(evaluate(*expression));
  return values;
}

Value Interpreter::evaluate_dict(const Expr& expr) {
  const std::vector<Value> parts = evaluate_all(expr.args);
  at_ = &expr;
  Dict dict;
  for (size_t i = 0; i < parts.size(); i += 2) {
    insert(runtime_.work, dict, parts[i], parts[i + 1]);
  }
  return make_dict(std::move(dict));
}

Value Interpreter::evaluate_slice(const Expr& expr) {
  std::vector<Value> parts;
  for (const ExprPtr& part : expr.args) parts.push_back(part ? evaluate(*part) : Value(None{}));
  at_ = &expr;
  return get_slice(runtime_.work, parts[0], parts[1], parts[2], parts[3]);
}

Value Interpreter::evaluate_concat(const Expr& expr) {
  std::string text;
  for (const Value& part : evaluate_all(expr.args)) {
    at_ = &expr;
    const std::string more = to_text(runtime_.work, part);
    runtime_.work.charge_text(text, more.size());
    text += more;
  }
  return Value(std::move(text));
}

// `a < b < c` is `a < b and b < c`.
Value Interpreter::evaluate_compare(const Expr& expr) {
  Value left = evaluate(*expr.args[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.args[i + 1]);
    at_ = &expr;
    if (!compare(runtime_.work, expr.operators[i], left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Arguments Interpreter::evaluate_arguments(const Expr& expr, size_t first) {
  Arguments arguments;
  for (size_t i = first; i < expr.args.size(); ++i) {
    arguments.positional.push_back(evaluate(*expr.args[i]));
  }
  for (const auto& [name, value] : expr.keywords) {
    arguments.keyword.emplace_back(name, evaluate(*value));
  }
  if (expr.star || expr.double_star) append_star_arguments(expr, arguments);
  return arguments;
}

void Interpreter::append_star_arguments(const Expr& expr, Arguments& arguments) {
  if (expr.star) {
    for (Value& item : iterate(runtime_.work, evaluate(*expr.star))) {
      arguments.positional.push_back(std::move(item));
    }
  }
  if (!expr.double_star) return;
  const Value more = evaluate(*expr.double_star);
  at_ = &expr;
  if (!more.is(Kind::kDict)) fail("** wants a dict, not ", type_name(more));
  for (const auto& [name, value] : more.as_dict().entries) {
    if (!name.is(Kind::kString)) fail("keywords must be strings");
    arguments.keyword.emplace_back(name.as_string(), value);
  }
}

Value Interpreter::evaluate_call(const Expr& expr, const Value* caller) {
  const Value callee = evaluate(*expr.args[0]);
  Arguments arguments = evaluate_arguments(expr, 1);
  if (caller != nullptr) arguments.keyword.emplace_back("caller", *caller);
  at_ = &expr;
  if (callee.is(Kind::kUndefined)) fail(callee.why());
  if (!callee.is(Kind::kFunction)) fail("'", type_name(callee), "' object is not callable");
  return callee.as_function().call(runtime_, arguments);
}

}  // namespace dsrasq::text::jinja
