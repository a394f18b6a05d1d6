#pragma once

// What the parser makes of a template and the interpreter runs.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/text/jinja_value.h"

namespace dsrasq::text::jinja {

enum class ExprKind {
  kLiteral,  // value
  kName,     // name
  kList,
  kTuple,      // args
  kDict,       // args: key, value, key, value, ...
  kAttribute,  // args[0].name; as a target of set: the namespace and its attribute
  kItem,       // args[0][args[1]]
  kSlice,      // args[0][args[1]:args[2]:args[3]], each bound may be null
  kCall,       // args[0](args[1], ..., keywords, *star, **double_star)
  kFilter,
  kTest,  // args[0] | name(args[1], ...); a null args[0] is the text of a block
  kUnary,
  kBinary,  // name is the operator
  kNot,
  kAnd,
  kOr,
  kConcat,      // args[0] ~ args[1] ~ ...
  kCompare,     // args[0] operators[0] args[1] operators[1] args[2] ...
  kConditional  // args[1] if args[0] else args[2], which may be null
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  int line = 1;
  int depth = 1;  ///< of the tree below
  std::string name;
  Value value;
  std::vector<ExprPtr> args;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr star, double_star;
  std::vector<std::string> operators;
};

enum class StmtKind {
  kData,         // text
  kOutput,       // expr
  kIf,           // branches, otherwise
  kFor,          // target, expr (what to go through), condition, body, otherwise
  kSet,          // target, expr
  kSetBlock,     // target, body, expr: filters over the body's text, may be null
  kMacro,        // macro
  kCallBlock,    // macro (the caller), expr: the call
  kFilterBlock,  // body, expr: filters over the body's text
  kWith,         // assignments, body
  kGeneration,   // body
  kBreak,
  kContinue
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct Macro {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  ///< of the last parameters
  Block body;
  // Whether the body uses the names that make these arguments legal.
  bool takes_varargs = false, takes_kwargs = false, takes_caller = false;
};

struct Stmt {
  StmtKind kind = StmtKind::kData;
  int line = 1;
  std::string text;
  ExprPtr target, expr, condition;
  std::vector<std::pair<ExprPtr, Block>> branches;
  std::vector<std::pair<ExprPtr, ExprPtr>> assignments;
  Block body, otherwise;
  std::unique_ptr<Macro> macro;
};

}  // namespace dsrasq::text::jinja
