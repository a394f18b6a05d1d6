#pragma once

// Ending an answer at a stop string while its text is shown as it comes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::model {

/// Watches streamed text for stop strings. What could still become one is held back, so that no
/// part of a stop string is ever shown. The stop string that is complete first wins (of two that
/// are complete at once the longer), so the result does not depend on how the text was cut.
class StopMatcher {
 public:
  /// Throws kInvalidArgument when a stop string is empty.
  explicit StopMatcher(std::vector<std::string> stops);

  /// The next piece of text; returns what can be shown now. After a match it returns nothing.
  std::string feed(std::string_view piece);

  /// Whether a stop string was found, and which.
  bool matched() const { return match_.has_value(); }
  const std::string& match() const { return match_.value(); }

  /// Call when the answer ended without a match: returns the text that was held back.
  std::string finish();

 private:
  size_t held_back() const;

  std::vector<std::string> stops_;  // longest first
  std::optional<std::string> match_;
  std::string pending_;
};

}  // namespace dsrasq::model
