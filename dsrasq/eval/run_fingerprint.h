#pragma once

// What the answers of a run depend on, as a few hex digits: a stopped run goes on only with the
// same.

#include <cstdint>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

/// A fingerprint of values one after another, each with its length so that none runs into the next.
class RunFingerprint {
 public:
  /// Begins with the model, its adapter and the policy's options.
  RunFingerprint(const session::Engine& engine, policy::PolicyOptions options);

  template <class Value>
  void add(const Value& value) {
    const std::string text = concat(value);
    hash_.add(static_cast<uint64_t>(text.size()));
    hash_.add(text);
  }
  /// 16 hex digits.
  std::string hex() const { return hash_.hex(); }

 private:
  Fingerprint hash_;
};

}  // namespace dsrasq::eval
