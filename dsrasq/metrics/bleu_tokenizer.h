#pragma once

// The two tokenizers of sacreBLEU for languages with spaces between words.

#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::metrics {

enum class BleuTokenizer {
  k13a,   ///< mteval-v13a: ASCII punctuation, entities; sacreBLEU's default
  kIntl,  ///< mteval-v14: punctuation and symbols of all of Unicode
};

/// Tokens are UTF-8; bytes of `text` that are not count as U+FFFD.
std::vector<std::string> bleu_tokens(std::string_view text, BleuTokenizer tokenizer);

}  // namespace dsrasq::metrics
