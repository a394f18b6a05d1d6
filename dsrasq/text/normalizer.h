#pragma once

// What is done to a text before it is split: the `normalizer` of a tokenizer.json.

#include <string>
#include <variant>
#include <vector>

#include "dsrasq/text/aligned_text.h"
#include "dsrasq/text/regex.h"
#include "dsrasq/text/unicode_form.h"

namespace dsrasq::text {

struct ReplaceLiteral {
  std::string from, to;
};
struct ReplaceRegex {
  Regex from;
  std::string to;
};
/// Puts `text` before every piece that is not empty.
struct Prepend {
  std::string text;
};
struct Lowercase {};
using NormalizerStep = std::variant<UnicodeForm, ReplaceLiteral, ReplaceRegex, Prepend, Lowercase>;

struct Normalizer {
  std::vector<NormalizerStep> steps;

  /// `continues`: the text goes on where another call ended, so nothing is put before it.
  void apply(AlignedText& text, bool continues) const;
  std::string apply(std::string_view text) const;
};

}  // namespace dsrasq::text
