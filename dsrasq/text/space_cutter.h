#pragma once

// Cuts a text that is one word to BPE, as with SentencePiece-style models, where no merge can
// cross: the parts have the same tokens as the whole, and are short enough to be remembered.

#include <array>
#include <string_view>

#include "dsrasq/text/vocab.h"

namespace dsrasq::text {

/// U+2581, which stands for a space.
inline constexpr std::string_view kMetaSpace = "\xE2\x96\x81";

/// Cuts before a U+2581 unless some token has one behind the same byte.
class SpaceCutter {
 public:
  explicit SpaceCutter(const Vocab& vocab) : is_on_(vocab.find(kMetaSpace) >= 0) {
    for (int32_t id = 0; is_on_ && id < vocab.n_ids(); ++id) {
      const std::string_view token = vocab.text(id);
      for (size_t at = 1; (at = token.find(kMetaSpace, at)) != std::string_view::npos; ++at)
        is_joined_[static_cast<unsigned char>(token[at - 1])] = true;
    }
  }

  /// Where the part that begins at `at` ends.
  size_t part_end(std::string_view word, size_t at) const {
    if (!is_on_) return word.size();
    for (++at; (at = word.find(kMetaSpace, at)) != std::string_view::npos; ++at)
      if (!is_joined_[static_cast<unsigned char>(word[at - 1])]) return at;
    return word.size();
  }

 private:
  bool is_on_;
  std::array<bool, 256> is_joined_{};
};

}  // namespace dsrasq::text
