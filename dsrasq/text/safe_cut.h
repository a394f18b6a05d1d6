#pragma once

// Places where a text can be cut so that its parts, encoded one by one, give the tokens of the
// whole.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/text/tokenizer_spec.h"

namespace dsrasq::text {

/// Knows two kinds of places: between an ASCII letter and a space, and behind the newline that ends
/// a line which is not blank, where the next is not blank either. Which of them are safe depends on
/// the tokenizer; with an unknown pattern, or tokens that look at their neighbours, none is.
class SafeCut {
 public:
  /// `added_contents`: what the added tokens are looked for as.
  SafeCut(const TokenizerSpec& spec, const std::vector<AddedToken>& added_tokens,
          const std::vector<std::string>& added_contents);

  /// The first safe place at or behind `from`; the text's end when there is none.
  size_t first(std::string_view text, size_t from) const;
  /// The last safe place at or behind `from`; 0 when there is none.
  size_t last(std::string_view text, size_t from) const;

 private:
  bool is_safe(std::string_view text, size_t at) const;

  bool before_space_ = true;
  bool after_newline_ = true;
};

}  // namespace dsrasq::text
