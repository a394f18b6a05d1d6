#pragma once

// Regular expressions of tokenizer.json files (PCRE2, Unicode), and what a pattern leaves of a
// text.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/text/aligned_text.h"

namespace dsrasq::text {

/// A stretch of a text that either matches a pattern or lies between matches.
struct Match {
  ByteRange range;
  bool is_match;
};

/// A compiled pattern. Const calls may run on several threads.
class Regex {
 public:
  /// Throws kBadInput with PCRE2's reason when the pattern is not one, or too large.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// Appends stretches that cover `text` (valid UTF-8), in order, each moved by `offset`. Throws
  /// kBadInput when the pattern needs more steps or memory on this text than is allowed.
  void find_all(std::string_view text, uint32_t offset, std::vector<Match>& out) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

/// The same for a plain string; an empty one matches nowhere.
void find_all_literal(std::string_view literal, std::string_view text, uint32_t offset,
                      std::vector<Match>& out);

}  // namespace dsrasq::text
