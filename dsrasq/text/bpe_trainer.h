#pragma once

// Learns a byte-level BPE vocabulary from texts (Sennrich et al. 2016, on GPT-2's words and bytes):
// the merges that `BpeTrainer` of Hugging Face `tokenizers` finds.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dsrasq::text {

/// What a training found: ids are places in `tokens`, in the letters of text/byte_alphabet.h.
struct BpeVocabulary {
  std::vector<std::string> tokens;  ///< the end-of-text token, the bytes, then one for each merge
  std::vector<std::pair<int32_t, int32_t>> merges;  ///< by rank
};

class BpeTrainer {
 public:
  /// The token that ends a text; id 0.
  static constexpr const char* kEndOfText = "<|endoftext|>";
  /// The fewest tokens that there can be: that one and a token for every byte.
  static constexpr int64_t kLeastTokens = 257;

  /// Counts the words of a text. Invalid UTF-8 reads as U+FFFD.
  void add(std::string_view text);
  /// The merges of the most frequent neighbours until there are `n_tokens` tokens, or until no two
  /// neighbours are left. Of equally frequent ones those with the lower ids are first. Throws
  /// kInvalidArgument for fewer than kLeastTokens tokens.
  BpeVocabulary train(int64_t n_tokens) const;

 private:
  std::unordered_map<std::string, int64_t> words_;
};

/// Writes tokenizer.json and tokenizer_config.json, which `load_tokenizer` and `transformers` read.
void write_tokenizer(const std::filesystem::path& folder, const BpeVocabulary& vocabulary);

}  // namespace dsrasq::text
