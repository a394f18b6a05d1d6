#pragma once

// Blocks of tokens as vectors: which blocks are about the same things, without a pass through the
// model's layers.

#include <cstdint>
#include <functional>
#include <vector>

#include "dsrasq/train/neighbour_table.h"

namespace dsrasq::checkpoint {
class Checkpoint;
}

namespace dsrasq::prepare {

/// `[n, dimensions]`, each row of length 1, or 0 where nothing tells a block from the others.
struct BlockVectors {
  int64_t n = 0, dimensions = 0;
  std::vector<float> values;
  const float* row(int64_t i) const { return values.data() + i * dimensions; }
};

/// The name of what `block_vectors` computes, for files that hold it.
constexpr const char* kBlockEmbedding = "mean of idf-weighted input embeddings, centred";

/// Of each block the mean of its tokens' input embeddings, weighted by inverse document frequency
/// log((1 + blocks) / (1 + blocks that have the token)), less the mean of all blocks (as in Arora
/// et al. 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", the part that all
/// share is taken out). The same bits for any number of threads. Throws kBadInput for a token that
/// the model does not have, kResourceExhausted when the vectors do not fit into the free memory.
/// `progress` gets blocks done and in all.
BlockVectors block_vectors(const train::TokenCache& cache,
                           const std::vector<train::TextBlock>& blocks,
                           const checkpoint::Checkpoint& model,
                           const std::function<void(int64_t, int64_t)>& progress);

/// The cosine of two vectors of a length of 1, added up in their order.
float similarity(const float* a, const float* b, int64_t dimensions);

}  // namespace dsrasq::prepare
