#pragma once

// Byte-pair encoding of one word.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/text/vocab.h"

namespace dsrasq::text {

/// A token and the bytes of its word that it stands for.
struct Piece {
  int32_t id;
  uint32_t begin, end;
};

/// Memory that encoding reuses; one per thread at a time.
class BpeWorkspace {
 public:
  BpeWorkspace();

 private:
  friend class Bpe;
  struct Symbol {
    Piece piece;
    int32_t previous, next;  // -1: none
    bool is_merged_away;
  };
  /// Ordered by rank, then from left to right.
  struct Candidate {
    uint32_t rank, at;
    int32_t id;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  struct CachedWord {
    uint64_t hash = 0;
    uint32_t key_begin = 0, key_length = 0;  // length 0: free
    uint32_t pieces_begin = 0, n_pieces = 0;
  };

  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
  std::string letters_;
  std::vector<CachedWord> cache_;
  std::string cached_keys_;
  std::vector<Piece> cached_pieces_;
  size_t n_cached_ = 0;
};

/// The model: symbols, merges and what stands for text that the vocabulary lacks.
class Bpe {
 public:
  Vocab vocab;
  MergeTable merges;
  /// The token of a byte: its letter in a byte-level vocabulary, <0xNN> in others; -1: none.
  std::array<int32_t, 256> byte_ids = filled();
  bool is_byte_level = false;
  bool falls_back_to_bytes = false;
  bool fuses_unknown = false;
  /// A word that is a token stays whole, whatever the merges say (Llama 3).
  bool ignores_merges = false;
  int32_t unknown_id = -1;  ///< -1: text that the vocabulary lacks is dropped

  /// Appends the pieces of `word` (valid UTF-8), as `tokenizers` does. n log n in its length.
  void encode(std::string_view word, BpeWorkspace& workspace, std::vector<Piece>& out) const;

 private:
  static std::array<int32_t, 256> filled();
  void encode_new(std::string_view word, BpeWorkspace& workspace, std::vector<Piece>& out) const;
  void split_bytes(std::string_view word, BpeWorkspace& workspace) const;
  void split_chars(std::string_view word, BpeWorkspace& workspace) const;
  bool push_fallback(std::string_view word, uint32_t begin, uint32_t end,
                     BpeWorkspace& workspace) const;
  void push_candidate(int32_t left, int32_t right, BpeWorkspace& workspace) const;
  void merge_all(BpeWorkspace& workspace) const;
};

}  // namespace dsrasq::text
