#pragma once

// A corpus, tokenised once: token ids of whole documents in a memory-mapped file, 2 bytes a token
// where the vocabulary allows it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/formats/chunk_file.h"

namespace dsrasq::train {

/// An open cache. Const calls may run on several threads.
class TokenCache {
 public:
  /// Throws kBadInput naming the file when it is damaged or no token cache.
  explicit TokenCache(const std::filesystem::path& path);

  /// Whether the file at `path` exists and says it is a token cache; reads a few bytes.
  static bool is_one(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  /// What the ids mean: the tokenizer's fingerprint.
  const std::string& vocabulary() const { return vocabulary_; }
  /// Of the corpus and how much of it was taken.
  const std::string& source() const { return source_; }
  int64_t n_tokens() const { return ends_.empty() ? 0 : ends_.back(); }
  int64_t n_documents() const { return static_cast<int64_t>(ends_.size()); }
  /// Where document `i` begins and ends among all tokens.
  int64_t begin(int64_t i) const { return i == 0 ? 0 : ends_[static_cast<size_t>(i - 1)]; }
  int64_t end(int64_t i) const { return ends_[static_cast<size_t>(i)]; }
  /// Tokens `first` to `first + n - 1`.
  std::vector<int32_t> read(int64_t first, int64_t n) const;
  /// Whether a token takes 2 bytes, not 4.
  bool is_narrow() const { return width_ == 2; }

 private:
  formats::ChunkFile file_;
  std::string vocabulary_, source_;
  std::vector<int64_t> ends_;
  std::span<const std::byte> tokens_;
  int64_t width_ = 2;
};

/// Writes documents of token ids to a cache that appears at `path` when all are there.
void write_token_cache(const std::filesystem::path& path, std::string_view vocabulary,
                       std::string_view source, const std::vector<std::vector<int32_t>>& documents);

/// The tokens of other caches, one cache after another, as documents that end at `ends` (ascending,
/// the last at the number of tokens), whatever the documents were there. Holds a piece at a time.
void join_token_caches(const std::filesystem::path& path, std::string_view vocabulary,
                       std::string_view source, const std::vector<int64_t>& ends,
                       const std::vector<std::filesystem::path>& parts);

using Encode = std::function<std::vector<int32_t>(std::string_view text)>;

struct TokeniseOptions {
  std::string vocabulary;  ///< the tokenizer's fingerprint
  int64_t max_tokens = 0;  ///< about as many, spread over all documents; 0: everything
};

/// Tokenises a corpus (.jsonl, .jsonl.xz or plain text) into the cache at `path`, unless the one
/// there is of the same corpus, vocabulary and amount. `progress` gets documents done and in all.
void tokenise_corpus(const std::filesystem::path& corpus, const Encode& encode,
                     const TokeniseOptions& options, const std::filesystem::path& path,
                     const std::function<void(int64_t, int64_t)>& progress = nullptr);

}  // namespace dsrasq::train
