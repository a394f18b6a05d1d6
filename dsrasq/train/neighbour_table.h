#pragma once

// The file of `dsrasq data index`, as trainings read it: blocks of a token cache, of each the
// nearest blocks of other documents, and beside them the vector index that found them, which takes
// its own library to search. Trainings need the neighbours alone.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/train/token_cache.h"

namespace dsrasq::train {

/// Tokens [begin, end) of all, within one document.
struct TextBlock {
  int64_t document = 0, begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

/// Every document cut behind every `length` tokens; what is left at its end is a block too.
std::vector<TextBlock> text_blocks(const TokenCache& cache, int64_t length);

/// What tells the tokens of a cache from others, whatever file they are in.
struct TextIdentity {
  int64_t n_tokens = 0, n_documents = 0;
  std::string fingerprint;  ///< of vocabulary, ends of documents and ids: 16 hex digits
};
TextIdentity identify(const TokenCache& cache);

struct Neighbour {
  int32_t block = -1;    ///< -1: there are no more
  float similarity = 0;  ///< cosine of the two blocks' vectors
};

/// What a file of `data index` says about itself.
struct BlockIndexFacts {
  std::string kind;       ///< of the vector index: flat, ivf or hnsw
  std::string embedding;  ///< how a block becomes a vector
  std::string model;      ///< fingerprint of the model that it is made with
  TextIdentity text;
  int64_t block = 0;          ///< m, tokens
  int64_t n_blocks = 0;       ///< vectors of the index
  int64_t dimensions = 0;     ///< of a vector
  int64_t n_neighbours = 0;   ///< most that a block has
  double max_similarity = 1;  ///< blocks that are more alike are taken for copies, and left out
};

/// An open file. Const calls may run on several threads.
class NeighbourTable {
 public:
  /// Throws kBadInput naming the file when it is none of `data index`, damaged or cut off.
  explicit NeighbourTable(const std::filesystem::path& path);

  const BlockIndexFacts& facts() const { return facts_; }
  /// Of block `i`, the nearest first.
  std::span<const Neighbour> of(int64_t i) const;
  /// Of all neighbours and what they are of: 16 hex digits.
  const std::string& fingerprint() const { return fingerprint_; }
  /// Throws kBadInput naming both unless the index was made of the tokens of `cache`.
  void check_is_of(const TokenCache& cache) const;
  /// The vector index, as its library wrote it; as long as this lives.
  std::span<const std::byte> vector_index() const { return file_.require("index"); }

 private:
  formats::ChunkFile file_;
  BlockIndexFacts facts_;
  std::vector<Neighbour> neighbours_;  // [n_blocks, n_neighbours]
  std::string fingerprint_;
};

/// Writes such a file; `neighbours` are `[n_blocks, n_neighbours]`.
void write_neighbour_table(const std::filesystem::path& path, const BlockIndexFacts& facts,
                           std::span<const Neighbour> neighbours,
                           std::span<const std::byte> vector_index);

}  // namespace dsrasq::train
