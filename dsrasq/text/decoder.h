#pragma once

// From tokens back to text: the `decoder` of a tokenizer.json, in the order in which the known
// ones come: each token by itself, bytes together, then the start of the whole text.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dsrasq::text {

struct DecodeReplace {
  std::string from, to;
};
/// Takes up to `start` code points `content` from the front.
struct DecodeStrip {
  char32_t content = U' ';
  size_t start = 0;
};
/// `replacement` becomes a space; in the first token it goes when `drops_first`.
struct DecodeMetaspace {
  std::string replacement;
  bool drops_first = true;
};

struct Decoder {
  enum class Kind {
    kSpaced,     ///< tokens with a space between them (there is no decoder)
    kByteLevel,  ///< letters of the byte alphabet
    kPieces,     ///< text, changed by `token_steps`
  };
  Kind kind = Kind::kSpaced;
  std::vector<std::variant<DecodeReplace, DecodeStrip, DecodeMetaspace>> token_steps;
  bool joins_byte_tokens = false;         ///< <0xNN> is a byte
  std::optional<DecodeStrip> strip_text;  ///< of the whole text

  /// What `token` adds to a text, in bytes that need not be whole characters.
  std::string bytes_of(std::string_view token, bool is_first) const;
};

/// The byte that <0xNN> writes.
std::optional<char> byte_of_token(std::string_view token);

/// Decodes token by token. What it gave so far is always whole characters and never changes.
class DecodeState {
 public:
  explicit DecodeState(const Decoder& decoder) : decoder_(decoder) {
    if (decoder.strip_text) strip_left_ = decoder.strip_text->start;
  }
  std::string push(std::string_view token);
  /// What was held back; bytes that are no character are U+FFFD.
  std::string finish();

 private:
  std::string stripped(std::string text);
  std::string take_byte_tokens();

  const Decoder& decoder_;
  bool is_first_ = true;
  size_t strip_left_ = 0;
  std::string held_;
};

}  // namespace dsrasq::text
