#pragma once

// Tokens that are found in the text itself, before anything is normalised or split.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dsrasq/text/aligned_text.h"

namespace dsrasq::text {

/// An entry of `added_tokens` in a tokenizer.json.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool is_special = false;     ///< left out of decoded text on request
  bool is_normalized = false;  ///< looked for in the normalised text, in its own normalised form
  bool single_word = false;    ///< not where a word goes on before or behind it
  bool strips_left = false;    ///< takes the whitespace before it
  bool strips_right = false;   ///< takes the whitespace behind it
};

/// A stretch of a text: an added token, or (id -1) what lies between.
struct AddedSplit {
  ByteRange range;
  int32_t id;
};

/// Finds the leftmost, then longest of a set of strings.
class StringSet {
 public:
  /// The first of two equal strings stays.
  void add(std::string_view text, int32_t value);
  bool empty() const { return nodes_.size() == 1; }

  struct Found {
    size_t begin, end;
    int32_t value;
  };
  std::optional<Found> find(std::string_view text, size_t from) const;

 private:
  struct Node {
    int32_t value = -1;
  };
  static uint64_t edge(uint32_t node, char byte) {
    return uint64_t{node} << 8 | static_cast<unsigned char>(byte);
  }
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<bool> begins_ = std::vector<bool>(256, false);  // whether a string begins so
  std::unordered_map<uint64_t, uint32_t> edges_;
};

/// The bytes that one added token may have: finding stays linear in the text.
constexpr size_t kMaxAddedTokenBytes = 1024;

class AddedTokens {
 public:
  AddedTokens() = default;
  /// `normalized_contents[i]` is what `tokens[i]` looks like in a normalised text.
  AddedTokens(std::vector<AddedToken> tokens, const std::vector<std::string>& normalized_contents);

  const std::vector<AddedToken>& all() const { return tokens_; }
  /// Null when `id` is no added token.
  const AddedToken* find(int32_t id) const;
  /// -1 when there is none.
  int32_t find(std::string_view content) const;

  /// Whether any is looked for in normalised texts.
  bool any_normalized() const { return !normalized_.empty(); }
  /// Fills `out` with stretches that cover `text`: with the tokens that are (not) looked for in
  /// normalised texts. Without `parse_special` a special token is ordinary text.
  void split(std::string_view text, bool is_normalized, bool parse_special,
             std::vector<AddedSplit>& out) const;

 private:
  std::vector<AddedToken> tokens_;
  std::unordered_map<int32_t, size_t> by_id_;
  std::unordered_map<std::string, int32_t> by_content_;
  StringSet raw_, normalized_;
};

}  // namespace dsrasq::text
