#pragma once

// What the two halves of the interpreter share: guards that undo themselves.

#include "dsrasq/text/jinja_interpreter.h"

namespace dsrasq::text::jinja {

class Interpreter::Entered {
 public:
  explicit Entered(Interpreter& interpreter) : interpreter_(interpreter) {
    constexpr int kMaxDepth = 1000;
    if (interpreter.depth_ >= kMaxDepth)
      fail("calls and blocks are nested more than ", kMaxDepth, " deep");
    ++interpreter_.depth_;
  }
  ~Entered() { --interpreter_.depth_; }

 private:
  Interpreter& interpreter_;
};

class Interpreter::InScope {
 public:
  InScope(Interpreter& interpreter, std::shared_ptr<Scope> parent)
      : interpreter_(interpreter), outer_(interpreter.scope_) {
    interpreter_.scope_ = std::make_shared<Scope>();
    interpreter_.scope_->parent = std::move(parent);
  }
  explicit InScope(Interpreter& interpreter) : InScope(interpreter, interpreter.scope_) {}
  ~InScope() { interpreter_.scope_ = std::move(outer_); }

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Scope> outer_;
};

}  // namespace dsrasq::text::jinja
