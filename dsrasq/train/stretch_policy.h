#pragma once

// What all policies of training have in common: they read one stretch in one call and keep nothing
// that could be saved.

#include <cstdint>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/policy/policy.h"

namespace dsrasq::train {

class StretchPolicy : public policy::Policy {
 public:
  /// `name` is a literal.
  explicit StretchPolicy(const char* name) : name_(name) {}

  std::string name() const override { return name_; }
  int64_t admit(int64_t n_tokens) const override { return n_tokens; }
  void begin(int64_t n_tokens) override {
    DSRASQ_CHECK(n_tokens_ == 0, kInternal, "train.stretch_policy", "a ", name_,
                 " reads one stretch, once");
    n_tokens_ = n_tokens;
  }
  void end() override { position_ = n_tokens_; }
  int64_t position() const override { return position_; }
  size_t bytes() const override { return 0; }
  void save(formats::ChunkFileWriter&) const override { refuse(); }
  void load(const formats::ChunkFile&) override { refuse(); }

 protected:
  int64_t n_tokens() const { return n_tokens_; }

 private:
  [[noreturn]] void refuse() const {
    throw Error(ErrorCode::kInternal, "train.stretch_policy",
                concat("a ", name_, " has no state to save or load"));
  }

  const char* name_;
  int64_t n_tokens_ = 0, position_ = 0;
};

}  // namespace dsrasq::train
