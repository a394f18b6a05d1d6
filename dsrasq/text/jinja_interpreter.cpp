// Statements; expressions are in jinja_evaluate.cpp.

#include "dsrasq/text/jinja_interpreter.h"

#include <algorithm>

#include "dsrasq/text/jinja_interpreter_scope.h"
#include "dsrasq/text/jinja_lexer.h"

namespace dsrasq::text::jinja {
namespace {

constexpr int64_t kMaxIterations = 1'000'000;
constexpr size_t kMaxMacros = 10'000;

std::string describe(const Expr& expr) {
  const auto quoted_name = [&](std::string_view what) {
    return concat(what, " '", expr.name, "': ");
  };
  switch (expr.kind) {
    case ExprKind::kName: return quoted_name("variable");
    case ExprKind::kAttribute: return quoted_name("attribute");
    case ExprKind::kFilter: return quoted_name("filter");
    case ExprKind::kTest: return quoted_name("test");
    case ExprKind::kUnary:
    case ExprKind::kBinary: return quoted_name("operator");
    case ExprKind::kCall: {
      const std::string& callee = expr.args[0]->name;
      return callee.empty() ? "call: " : concat("call of '", callee, "': ");
    }
    case ExprKind::kItem: return "item: ";
    case ExprKind::kSlice: return "slice: ";
    case ExprKind::kCompare: return concat("comparison '", expr.operators.front(), "': ");
    default: return {};
  }
}

}  // namespace

Interpreter::Interpreter(const Block& template_body, Variables variables, const std::tm& now)
    : runtime_{.work = {}, .now = now}, body_(template_body), scope_(std::make_shared<Scope>()) {
  for (auto& [name, value] : global_functions()) scope_->variables[name] = std::move(value);
  for (auto& [name, value] : variables) scope_->variables[name] = std::move(value);
}

// Macros hold scopes that hold macros, and namespaces may hold each other: cut such circles.
Interpreter::~Interpreter() {
  for (const auto& scope : closures_) scope->variables.clear();
  for (const auto& space : runtime_.namespaces) space->attributes.clear();
}

std::string Interpreter::run() {
  try {
    run_block(body_);
  } catch (const Failure& failure) {
    fail_at(at_ != nullptr ? at_->line : line_,
            concat(at_ != nullptr ? describe(*at_) : "", failure.what()));
  }
  return std::move(output_);
}

Interpreter::Flow Interpreter::run_block(const Block& block) {
  const Entered entered(*this);
  for (const auto& stmt : block) {
    line_ = stmt->line;
    at_ = nullptr;
    runtime_.work.charge(Work::kPerItem);
    const Flow flow = run_statement(*stmt);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_statement(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kData: write(stmt.text); break;
    case StmtKind::kOutput: write(to_text(runtime_.work, evaluate(*stmt.expr))); break;
    case StmtKind::kIf: return run_if(stmt);
    case StmtKind::kFor: return run_for(stmt);
    case StmtKind::kSet: assign(*stmt.target, evaluate(*stmt.expr)); break;
    case StmtKind::kSetBlock: return run_set_block(stmt);
    case StmtKind::kMacro: run_macro_definition(stmt); break;
    case StmtKind::kCallBlock: run_call_block(stmt); break;
    case StmtKind::kFilterBlock: return run_filter_block(stmt);
    case StmtKind::kWith: return run_with(stmt);
    case StmtKind::kGeneration: {
      const InScope scope(*this);
      return run_block(stmt.body);
    }
    case StmtKind::kBreak: return Flow::kBreak;
    case StmtKind::kContinue: return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_if(const Stmt& stmt) {
  for (const auto& [condition, body] : stmt.branches) {
    if (is_true(evaluate(*condition))) return run_block(body);
  }
  return run_block(stmt.otherwise);
}

Interpreter::Flow Interpreter::run_for(const Stmt& stmt) {
  const std::vector<Value> items = iterate(runtime_.work, evaluate(*stmt.expr));
  const std::shared_ptr<Scope> outer = scope_;
  const auto loop = std::make_shared<Loop>();
  loop->draw = [&, next = size_t{0}](Value& item) mutable {
    while (next < items.size()) {
      if (++n_iterations_ > kMaxIterations) fail("loops run more than ", kMaxIterations, " times");
      item = items[next++];
      if (!stmt.condition) return true;
      const InScope scope(*this, outer);  // the condition sees the item and what is outside
      assign(*stmt.target, item);
      if (is_true(evaluate(*stmt.condition))) return true;
    }
    return false;
  };
  const Flow flow = run_for_body(stmt, loop);
  loop->draw = [](Value&) { return false; };
  return flow;
}

// As in Jinja2, the else part runs when no pass through the body came to its end.
Interpreter::Flow Interpreter::run_for_body(const Stmt& stmt, const std::shared_ptr<Loop>& loop) {
  bool has_finished = false;
  for (; loop->has(loop->index0); ++loop->index0) {
    const InScope scope(*this);
    assign(*stmt.target, loop->items[static_cast<size_t>(loop->index0)]);
    scope_->variables["loop"] = loop;
    const Flow flow = run_block(stmt.body);
    if (flow == Flow::kBreak) break;
    has_finished = has_finished || flow == Flow::kNext;
  }
  if (has_finished) return Flow::kNext;
  const InScope scope(*this);
  return run_block(stmt.otherwise);
}

void Interpreter::write(std::string_view text) {
  runtime_.work.charge_text(*out_, text.size());
  *out_ += text;
}

std::string Interpreter::capture(const std::function<void()>& body) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  body();  // when it throws, the render is over
  out_ = outer;
  return text;
}

Interpreter::Flow Interpreter::run_set_block(const Stmt& stmt) {
  Flow flow = Flow::kNext;
  const std::string text = capture([&] {
    const InScope scope(*this);
    flow = run_block(stmt.body);
  });
  if (flow != Flow::kNext) return flow;
  const std::string* const outer = std::exchange(block_text_, &text);
  Value value = stmt.expr ? evaluate(*stmt.expr) : Value(text);
  block_text_ = outer;
  assign(*stmt.target, std::move(value));
  return flow;
}

Interpreter::Flow Interpreter::run_filter_block(const Stmt& stmt) {
  Flow flow = Flow::kNext;
  const std::string text = capture([&] {
    const InScope scope(*this);
    flow = run_block(stmt.body);
  });
  if (flow != Flow::kNext) return flow;
  const std::string* const outer = std::exchange(block_text_, &text);
  write(to_text(runtime_.work, evaluate(*stmt.expr)));
  block_text_ = outer;
  return flow;
}

Interpreter::Flow Interpreter::run_with(const Stmt& stmt) {
  std::vector<Value> values;
  for (const auto& assignment : stmt.assignments) values.push_back(evaluate(*assignment.second));
  const InScope scope(*this);
  for (size_t i = 0; i < values.size(); ++i) {
    assign(*stmt.assignments[i].first, std::move(values[i]));
  }
  return run_block(stmt.body);
}

void Interpreter::assign(const Expr& target, Value value) {
  if (target.kind == ExprKind::kName) {
    scope_->variables[target.name] = std::move(value);
  } else if (target.kind == ExprKind::kAttribute) {
    assign_attribute(target, std::move(value));
  } else {
    std::vector<Value> parts = iterate(runtime_.work, value);
    if (parts.size() != target.args.size()) {
      fail("cannot unpack ", parts.size(), " values into ", target.args.size(), " names");
    }
    for (size_t i = 0; i < parts.size(); ++i) assign(*target.args[i], std::move(parts[i]));
  }
}

void Interpreter::assign_attribute(const Expr& target, Value value) {
  const Value space = look_up(target.args[0]->name);
  at_ = &target;
  if (!space.is(Kind::kNamespace)) fail("only a namespace's attributes can be set");
  if (target.name.starts_with('_')) fail("a namespace's attributes may not begin with '_'");
  for (auto& [name, old] : space.as_namespace().attributes) {
    if (name != target.name) continue;
    old = std::move(value);
    return;
  }
  space.as_namespace().attributes.emplace_back(target.name, std::move(value));
}

Value Interpreter::make_macro(const Macro& macro) {
  if (closures_.size() == kMaxMacros) fail("more than ", kMaxMacros, " macros are defined");
  closures_.push_back(scope_);
  auto function = std::make_shared<Function>();
  function->name = macro.name;
  function->call = [this, &macro, scope = scope_](Runtime&, Arguments& arguments) {
    return call_macro(macro, scope, arguments);
  };
  return std::shared_ptr<const Function>(std::move(function));
}

void Interpreter::run_macro_definition(const Stmt& stmt) {
  scope_->variables[stmt.macro->name] = make_macro(*stmt.macro);
}

void Interpreter::run_call_block(const Stmt& stmt) {
  const Value caller = make_macro(*stmt.macro);
  write(to_text(runtime_.work, evaluate_call(*stmt.expr, &caller)));
}

Value Interpreter::call_macro(const Macro& macro, const std::shared_ptr<Scope>& closure,
                              const Arguments& arguments) {
  const Entered entered(*this);
  const InScope scope(*this, closure);
  const std::string* const outer_text = std::exchange(block_text_, nullptr);
  bind_parameters(macro, arguments);
  std::string text = capture([&] { run_block(macro.body); });
  block_text_ = outer_text;
  return Value(std::move(text));
}

void Interpreter::bind_parameters(const Macro& macro, const Arguments& arguments) {
  const auto& positional = arguments.positional;
  const size_t n_parameters = macro.parameters.size();
  Arguments extra;
  extra.keyword = arguments.keyword;
  bool has_caller = false;
  for (size_t i = 0; i < n_parameters; ++i) {
    const std::string& name = macro.parameters[i];
    has_caller = has_caller || name == "caller";
    if (i < positional.size()) {
      scope_->variables[name] = positional[i];
      continue;
    }
    const auto given = std::find_if(extra.keyword.begin(), extra.keyword.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    const size_t n_before_defaults = n_parameters - macro.defaults.size();
    if (given != extra.keyword.end()) {
      scope_->variables[name] = std::move(given->second);
      extra.keyword.erase(given);
    } else if (i >= n_before_defaults) {
      scope_->variables[name] = evaluate(*macro.defaults[i - n_before_defaults]);
    } else {
      scope_->variables[name] = make_undefined(concat("parameter '", name, "' was not provided"));
    }
  }
  for (size_t i = n_parameters; i < positional.size(); ++i) {
    extra.positional.push_back(positional[i]);
  }
  bind_extra_arguments(macro, extra, has_caller);
}

void Interpreter::bind_extra_arguments(const Macro& macro, const Arguments& arguments,
                                       bool has_caller) {
  Dict keywords;
  if (macro.takes_caller && !has_caller) {
    scope_->variables["caller"] = make_undefined("No caller defined");
  }
  for (const auto& [name, value] : arguments.keyword) {
    if (name == "caller" && macro.takes_caller && !has_caller) {
      scope_->variables["caller"] = value;
    } else if (macro.takes_kwargs) {
      insert(runtime_.work, keywords, Value(name), value);
    } else {
      fail("macro '", macro.name, "' takes no keyword argument '", name, "'");
    }
  }
  if (macro.takes_kwargs) scope_->variables["kwargs"] = make_dict(std::move(keywords));
  if (macro.takes_varargs) {
    scope_->variables["varargs"] = make_sequence(SequenceKind::kTuple, arguments.positional);
  } else if (!arguments.positional.empty()) {
    fail("macro '", macro.name, "' takes not more than ", macro.parameters.size(), " argument(s)");
  }
}

}  // namespace dsrasq::text::jinja
