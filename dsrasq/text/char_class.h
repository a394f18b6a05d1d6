#pragma once

// The three Unicode classes that pre-tokenisers ask for, as Oniguruma 6.9.10 (Unicode 16, the
// engine of Hugging Face `tokenizers`) knows them.

#include <cstdint>

namespace dsrasq::text {

enum class CharClass : uint8_t {
  kOther,
  kLetter,  ///< \p{L}
  kNumber,  ///< \p{N}
  kSpace,   ///< \s: White_Space
};

CharClass char_class(char32_t value);

/// \w of a regular expression: letters, marks, decimal numbers, connectors.
bool is_word_char(char32_t value);

}  // namespace dsrasq::text
