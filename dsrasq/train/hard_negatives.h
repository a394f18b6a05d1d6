#pragma once

// Stretches in which an old passage has to be told from others like it: between a block of a
// document and what follows it stand the blocks of other documents that are nearest to it, the
// hard negatives of dense retrieval (Karpukhin et al. 2020, "Dense Passage Retrieval for
// Open-Domain Question Answering", section 3.2).

#include <cstdint>
#include <vector>

#include "dsrasq/train/counter_rng.h"
#include "dsrasq/train/neighbour_table.h"
#include "dsrasq/train/recall_text.h"

namespace dsrasq::train {

/// A text that breaks off behind one of its blocks and goes on after blocks of other documents.
struct InterruptedText {
  std::vector<int32_t> ids;
  TokenRange gold;       ///< the block before the break, what has to be found again
  TokenRange negatives;  ///< the blocks of others; the text goes on at the end of them
};

/// How long an interrupted text is.
struct InterruptionSizes {
  int64_t length = 0;   ///< tokens
  int64_t planted = 0;  ///< of them, those at the end that planted details may push out
};

struct HardNegativeOptions {
  std::vector<bool> may_use;    ///< by document: whether its text may be in a stretch
  std::vector<int32_t> prefix;  ///< tokens that every text begins with
  int64_t min_distance = 0;     ///< least tokens of negatives
};

/// Draws interrupted texts. The cache and the table must outlive it; const calls may run on several
/// threads.
class HardNegatives {
 public:
  /// Throws kBadInput when the table is not of the tokens of `cache`.
  HardNegatives(const TokenCache& cache, const NeighbourTable& table, HardNegativeOptions options);

  /// Throws kInvalidArgument when a text of these sizes has no room for the negatives, kBadInput
  /// when no document has enough text and neighbours.
  void check(const InterruptionSizes& sizes) const;

  /// A text of `sizes`, which `check` has let pass. Between the negatives and what may be pushed
  /// out it has at least a block.
  InterruptedText draw(const InterruptionSizes& sizes, CounterRng& rng) const;

 private:
  /// A block that others may stand behind.
  struct Gold {
    int64_t block = 0;
    int64_t behind = 0;  ///< tokens from its first to the document's end
  };
  /// Whole blocks of documents in use that are near to it, the nearest first.
  std::vector<int64_t> negatives_of(int64_t block) const;
  /// Tokens of its own document that a text has at most.
  int64_t own_tokens(const InterruptionSizes& sizes) const;
  /// Blocks that fit between the gold one and the last.
  int64_t room(const InterruptionSizes& sizes) const;
  /// How many of `golds_` have text enough behind them.
  int64_t n_golds(const InterruptionSizes& sizes) const;

  const TokenCache& cache_;
  const NeighbourTable& table_;
  HardNegativeOptions options_;
  int64_t block_, fewest_;  // tokens; negatives of a text
  std::vector<TextBlock> blocks_;
  std::vector<Gold> golds_;  // those with most text behind them first
};

}  // namespace dsrasq::train
