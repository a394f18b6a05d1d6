#pragma once

// Runs a parsed template.

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dsrasq/text/jinja_ast.h"
#include "dsrasq/text/jinja_builtins.h"

namespace dsrasq::text::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

/// Runs one template once. A render ends with an error before it takes long: loops, output, calls
/// and work are limited.
class Interpreter {
 public:
  /// `template_body` must outlive the interpreter; `now` is what strftime_now formats.
  Interpreter(const Block& template_body, Variables variables, const std::tm& now);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// The text. Throws `dsrasq::Error` (kBadInput) naming the line and the construct that failed.
  std::string run();

 private:
  enum class Flow { kNext, kBreak, kContinue };
  struct Scope {
    std::shared_ptr<Scope> parent;
    std::unordered_map<std::string, Value> variables;
  };
  class Entered;  // one level deeper, while it lives
  class InScope;  // a new scope, while it lives

  // Statements.
  Flow run_block(const Block& block);
  Flow run_statement(const Stmt& stmt);
  Flow run_if(const Stmt& stmt);
  Flow run_for(const Stmt& stmt);
  Flow run_for_body(const Stmt& stmt, const std::shared_ptr<Loop>& loop);
  Flow run_set_block(const Stmt& stmt);
  Flow run_filter_block(const Stmt& stmt);
  Flow run_with(const Stmt& stmt);
  void run_macro_definition(const Stmt& stmt);
  void run_call_block(const Stmt& stmt);
  void write(std::string_view text);
  /// Runs `body` and returns what it wrote.
  std::string capture(const std::function<void()>& body);
  void assign(const Expr& target, Value value);
  void assign_attribute(const Expr& target, Value value);
  Value make_macro(const Macro& macro);
  Value call_macro(const Macro& macro, const std::shared_ptr<Scope>& closure,
                   const Arguments& arguments);
  void bind_parameters(const Macro& macro, const Arguments& arguments);
  void bind_extra_arguments(const Macro& macro, const Arguments& arguments, bool has_caller);

  // Expressions.
  Value evaluate(const Expr& expr);
  Value evaluate_node(const Expr& expr);
  Value look_up(const std::string& name) const;
  Value evaluate_dict(const Expr& expr);
  Value evaluate_slice(const Expr& expr);
  Value evaluate_compare(const Expr& expr);
  Value evaluate_concat(const Expr& expr);
  Value evaluate_call(const Expr& expr, const Value* caller);
  /// The values of the arguments from `first` on.
  Arguments evaluate_arguments(const Expr& expr, size_t first);
  void append_star_arguments(const Expr& expr, Arguments& arguments);
  std::vector<Value> evaluate_all(const std::vector<ExprPtr>& expressions);

  Runtime runtime_;
  const Block& body_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::shared_ptr<Scope>> closures_;  // scopes that macros hold on to
  std::string output_;
  std::string* out_ = &output_;
  const std::string* block_text_ = nullptr;  // the input of the filters of a block
  int depth_ = 0;
  int64_t n_iterations_ = 0;
  const Expr* at_ = nullptr;  // what is being evaluated, for messages
  int line_ = 1;
};

}  // namespace dsrasq::text::jinja
