#pragma once

// The nearest blocks of other documents: hard negatives, and labels of what is about the same.

#include <cstdint>
#include <functional>
#include <vector>

#include "dsrasq/prepare/block_vectors.h"
#include "dsrasq/prepare/vector_index.h"

namespace dsrasq::prepare {

struct IndexedBlocks {
  const std::vector<train::TextBlock>& blocks;
  const BlockVectors& vectors;
};

/// Which blocks are a block's neighbours.
struct NeighbourRules {
  int64_t n = 16;             ///< at most
  double max_similarity = 1;  ///< more alike: a copy, not a neighbour
};

/// Of each block up to `rules.n` blocks of other documents with a similarity above 0, the nearest
/// first, those alike by number, as `index` finds them: `[blocks, rules.n]`. Their similarities are
/// computed here, so the index decides which are found and nothing else. `progress` gets blocks
/// done and in all.
std::vector<train::Neighbour> find_neighbours(
    const IndexedBlocks& text, const VectorIndex& index, const NeighbourRules& rules,
    const std::function<void(int64_t, int64_t)>& progress);

/// The neighbours of block `i`, every other block looked at.
std::vector<train::Neighbour> exact_neighbours(const IndexedBlocks& text, int64_t i,
                                               const NeighbourRules& rules);

/// What neighbours are worth.
struct NeighbourFigures {
  double nearest = 0;     ///< mean similarity of the nearest neighbours
  double neighbours = 0;  ///< of all
  double random = 0;      ///< of drawn blocks of other documents
  double recall = 0;      ///< share of the exact first ten among the first ten found
  int64_t n_checked = 0;  ///< blocks that `random` and `recall` are measured on
};

/// Of `found`, as find_neighbours gives them; at most `n_checked` blocks, evenly spread.
NeighbourFigures neighbour_figures(const IndexedBlocks& text,
                                   const std::vector<train::Neighbour>& found,
                                   const NeighbourRules& rules, int64_t n_checked);

}  // namespace dsrasq::prepare
