#include "dsrasq/text/jinja_parser.h"

#include <initializer_list>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/text/jinja_expression_parser.h"

namespace dsrasq::text::jinja {
namespace {

using StmtPtr = std::unique_ptr<Stmt>;

class Parser : ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Block run() {
    Block body = parse_block({});
    if (current().kind != TokenKind::kEnd) {
      fail_here(concat("'", next().text, "' does not close anything"));
    }
    return body;
  }

 private:
  StmtPtr make_stmt(StmtKind kind) const {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = current().line;
    return stmt;
  }

  // Statements up to a tag with one of the names, which is left to the caller, or to the end.
  Block parse_block(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(*this);
    Block body;
    while (current().kind != TokenKind::kEnd) {
      if (current().kind == TokenKind::kData) {
        body.push_back(make_stmt(StmtKind::kData));
        body.back()->text = take().text;
      } else if (current().kind == TokenKind::kOutputBegin) {
        body.push_back(make_stmt(StmtKind::kOutput));
        take();
        body.back()->expr = parse_tuple(true, false);
        expect(TokenKind::kOutputEnd);
      } else {
        for (const std::string_view end : ends) {
          if (next().is_name(end)) return body;
        }
        if (next().text.starts_with("end") || next().is_name("else") || next().is_name("elif")) {
          return body;  // the caller says what is missing
        }
        take();
        body.push_back(parse_statement());
        expect(TokenKind::kBlockEnd);
      }
    }
    return body;
  }

  // The body of a tag: from the end of the tag up to and with the name of the tag that ends it.
  Block parse_body(std::initializer_list<std::string_view> ends) {
    const int line = current().line;
    skip_operator(":");
    expect(TokenKind::kBlockEnd);
    Block body = parse_block(ends);
    if (current().kind == TokenKind::kEnd) {
      fail_at(line, concat("the block that begins here has no '", *(ends.end() - 1), "'"));
    }
    take();
    for (const std::string_view end : ends) {
      if (current().is_name(end)) return body;
    }
    fail_unexpected(concat("'", *(ends.end() - 1), "' for the block of line ", line));
  }

  StmtPtr parse_statement() {
    const Token tag = current();
    if (tag.kind != TokenKind::kName) fail_unexpected("the name of a statement");
    if (tag.text == "if") return parse_if();
    if (tag.text == "for") return parse_for();
    if (tag.text == "set") return parse_set();
    if (tag.text == "macro") return parse_macro();
    if (tag.text == "call") return parse_call_block();
    if (tag.text == "filter") return parse_filter_block();
    if (tag.text == "with") return parse_with();
    if (tag.text == "generation") return parse_generation();
    if (tag.text == "break" || tag.text == "continue") return parse_jump();
    fail_here(concat("statement '", tag.text, "' is not supported in chat templates"));
  }

  StmtPtr parse_if() {
    StmtPtr stmt = make_stmt(StmtKind::kIf);
    while (current().is_name("if") || current().is_name("elif")) {
      take();
      ExprPtr condition = parse_tuple(false, false);
      Block body = parse_body({"elif", "else", "endif"});
      stmt->branches.emplace_back(std::move(condition), std::move(body));
    }
    if (skip_name("else")) stmt->otherwise = parse_body({"endif"});
    take();
    return stmt;
  }

  StmtPtr parse_for() {
    StmtPtr stmt = make_stmt(StmtKind::kFor);
    take();
    stmt->target = parse_target(false, "in");
    if (!skip_name("in")) fail_unexpected("'in'");
    stmt->expr = parse_tuple(false, false);
    if (skip_name("if")) stmt->condition = parse_expression();
    if (current().is_name("recursive")) fail_here("recursive loops are not supported");
    ++loop_depth_;
    stmt->body = parse_body({"else", "endfor"});
    --loop_depth_;
    if (skip_name("else")) stmt->otherwise = parse_body({"endfor"});
    take();
    return stmt;
  }

  StmtPtr parse_set() {
    StmtPtr stmt = make_stmt(StmtKind::kSet);
    take();
    stmt->target = parse_target(true, "=");
    if (skip_operator("=")) {
      stmt->expr = parse_tuple(true, false);
      return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    stmt->expr = parse_filters(nullptr);
    stmt->body = parse_body({"endset"});
    take();
    return stmt;
  }

  // The parameters in parentheses.
  void parse_signature(Macro& macro) {
    expect_operator("(");
    while (!current().is_operator(")")) {
      macro.parameters.push_back(expect_name());
      if (skip_operator("=")) {
        macro.defaults.push_back(parse_expression());
      } else if (!macro.defaults.empty()) {
        fail_here("a parameter without default follows one with a default");
      }
      if (!skip_operator(",")) break;
    }
    expect_operator(")");
  }

  // Break and continue do not reach out of a macro's body.
  void parse_macro_body(Macro& macro, std::string_view end) {
    const int outer_depth = std::exchange(loop_depth_, 0);
    open_macros_.push_back(&macro);
    macro.body = parse_body({end});
    open_macros_.pop_back();
    loop_depth_ = outer_depth;
    take();
  }

  StmtPtr parse_macro() {
    StmtPtr stmt = make_stmt(StmtKind::kMacro);
    take();
    stmt->macro = std::make_unique<Macro>();
    stmt->macro->name = expect_name();
    parse_signature(*stmt->macro);
    parse_macro_body(*stmt->macro, "endmacro");
    return stmt;
  }

  StmtPtr parse_call_block() {
    StmtPtr stmt = make_stmt(StmtKind::kCallBlock);
    take();
    stmt->macro = std::make_unique<Macro>();
    stmt->macro->name = "caller";
    if (current().is_operator("(")) parse_signature(*stmt->macro);
    stmt->expr = parse_expression();
    if (stmt->expr->kind != ExprKind::kCall)
      fail_at(stmt->line, "'call' wants the call of a macro");
    parse_macro_body(*stmt->macro, "endcall");
    return stmt;
  }

  StmtPtr parse_filter_block() {
    StmtPtr stmt = make_stmt(StmtKind::kFilterBlock);
    take();
    stmt->expr = parse_filters(parse_filter(nullptr));
    stmt->body = parse_body({"endfilter"});
    take();
    return stmt;
  }

  StmtPtr parse_with() {
    StmtPtr stmt = make_stmt(StmtKind::kWith);
    take();
    while (current().kind != TokenKind::kBlockEnd) {
      if (!stmt->assignments.empty()) expect_operator(",");
      ExprPtr target = parse_target(false, "=");
      expect_operator("=");
      stmt->assignments.emplace_back(std::move(target), parse_expression());
    }
    stmt->body = parse_body({"endwith"});
    take();
    return stmt;
  }

  StmtPtr parse_generation() {
    StmtPtr stmt = make_stmt(StmtKind::kGeneration);
    take();
    const int outer_depth = std::exchange(loop_depth_, 0);
    stmt->body = parse_body({"endgeneration"});
    loop_depth_ = outer_depth;
    take();
    return stmt;
  }

  StmtPtr parse_jump() {
    StmtPtr stmt = make_stmt(current().is_name("break") ? StmtKind::kBreak : StmtKind::kContinue);
    if (loop_depth_ == 0) fail_here(concat("'", current().text, "' outside of a loop"));
    take();
    return stmt;
  }

  int loop_depth_ = 0;
};

}  // namespace

Block parse(std::string_view source) { return Parser(tokenize(source)).run(); }

}  // namespace dsrasq::text::jinja
