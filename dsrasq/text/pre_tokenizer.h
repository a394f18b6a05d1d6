#pragma once

// Cuts a text into the words that BPE works on: the `pre_tokenizer` of a tokenizer.json.

#include <string>
#include <variant>
#include <vector>

#include "dsrasq/text/aligned_text.h"
#include "dsrasq/text/regex.h"

namespace dsrasq::text {

/// The patterns known by name; both cover every text.
struct Gpt2Words {};
struct Llama3Words {
  uint32_t max_digits;
};
/// Every numeric code point (\p{N}) by itself.
struct NumericChars {};
struct Literal {
  std::string text;
};
using SplitPattern = std::variant<Gpt2Words, Llama3Words, NumericChars, Literal, Regex>;

/// The hand-written form of a regular expression that is known, else PCRE2's.
SplitPattern make_split_pattern(std::string_view regex);

/// What becomes of the stretches that match.
enum class SplitBehavior { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };

struct Split {
  SplitPattern pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};

/// Puts a space before a piece that does not begin with one.
struct PrefixSpace {};

/// Turns spaces into `replacement` and cuts before each.
struct Metaspace {
  enum class Prepend { kAlways, kFirst, kNever };
  std::string replacement;
  Prepend prepend = Prepend::kAlways;
  bool split = true;
};

using PreTokenizerStep = std::variant<Split, PrefixSpace, Metaspace>;

struct PreTokenizer {
  std::vector<PreTokenizerStep> steps;

  /// Where a text stands in what is encoded.
  struct Place {
    bool starts_input;  ///< it is the very first piece
    bool continues;     ///< it goes on where another call ended
  };
  /// Fills `words`, in order; may edit the text.
  void apply(AlignedText& text, Place place, std::vector<ByteRange>& words) const;
};

}  // namespace dsrasq::text
