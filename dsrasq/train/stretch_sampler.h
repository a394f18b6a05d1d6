#pragma once

// Which tokens a training step reads: a pure function of (seed, step), so that a resumed run goes
// on exactly as an unbroken one would have.

#include <cstdint>
#include <optional>
#include <vector>

#include "dsrasq/train/hard_negatives.h"
#include "dsrasq/train/recall_text.h"
#include "dsrasq/train/task_texts.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::train {

struct StretchOptions {
  int64_t length = 8192;             ///< tokens of a stretch
  int64_t long_length = 16384;       ///< of the longest; long ones have `length` doubled up to it
  double long_share = 0.1;           ///< of the stretches
  double recall_share = 0.25;        ///< of the stretches, with planted recall
  RecallOptions recall;              ///< in a stretch of `length`; longer ones get as much more
  std::vector<int32_t> prefix;       ///< tokens that every stretch begins with (BOS, where used)
  const TaskTexts* tasks = nullptr;  ///< none where null; must outlive the sampler
  double task_share = 0;             ///< of the stretches, with a task
  const NeighbourTable* negatives = nullptr;  ///< none where null; must outlive the sampler
  double negatives_share = 0;  ///< of the stretches without a task, with hard negatives
  uint64_t seed = 0;
};

/// A text to train on.
using Stretch = RecallStretch;

/// Draws stretches within single documents. Every 32nd document is held out of training (of a
/// single one, its last tenth).
class StretchSampler {
 public:
  /// Throws kBadInput when no document, or none held out, has `length` tokens; `long_length` only
  /// where long stretches are wanted. As HardNegatives and its check do where there are negatives.
  /// `cache` must outlive the sampler.
  StretchSampler(const TokenCache& cache, Encode encode, const StretchOptions& options);

  /// Stretch `index` of a step's batch.
  Stretch training(int64_t step, int64_t index) const;
  /// Tokens of each of a step's stretches: all have as many, since processes that share a batch
  /// wait for each other.
  int64_t training_length(int64_t step) const;
  /// Held-out stretch `index`, of the ordinary length, with or without planted recall.
  Stretch held_out(int64_t index, bool recall) const;
  /// Held-out task `index` in held-out text; nothing where there is none.
  std::optional<Stretch> held_out_task(int64_t index) const;

 private:
  struct Range {
    int64_t begin = 0, end = 0;
  };
  RecallOptions recall_options(int64_t length) const;
  Stretch with_recall(const std::vector<int32_t>& ids, CounterRng& rng) const;
  Stretch with_negatives(int64_t length, CounterRng& rng) const;
  InterruptionSizes interruption(int64_t length) const;
  std::vector<int32_t> draw(const std::vector<Range>& ranges, int64_t length,
                            CounterRng& rng) const;
  void check_length(const std::vector<Range>& ranges, int64_t length, const char* option) const;

  const TokenCache& cache_;
  Encode encode_;
  StretchOptions options_;
  std::vector<Range> training_, held_out_;
  std::optional<HardNegatives> negatives_;
};

/// `n` distinct positions in [first, end), ascending, those of `focus` among them first (at most
/// half of n); all of [first, end) when there are fewer.
std::vector<int64_t> sample_rows(int64_t first, int64_t end, int64_t n,
                                 const std::vector<int64_t>& focus, CounterRng& rng);

}  // namespace dsrasq::train
