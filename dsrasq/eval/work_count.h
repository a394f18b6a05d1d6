#pragma once

// What reading a text costs by the model's sizes and the policy's rule: counted, not measured.

#include <cstdint>
#include <optional>

#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct Work {
  /// 2 for each multiply-add of the linear layers (indexers and low-rank additions included), of
  /// the index scan, and of attention's scores and weighted sums. Norms, rotations, softmax and
  /// activations are not in it, and neither are logits: reading makes none.
  int64_t operations = 0;
  /// Keys, values and index keys that the queries read, as the CPU stores them. Weights are not in
  /// it: they are read once a call, whatever the policy.
  int64_t cache_bytes = 0;
};

/// Tokens that the queries of one layer read or score, summed over the queries at positions 0 to
/// `n_tokens` - 1.
struct QueryTokens {
  int64_t local = 0;       ///< sinks and window, or everything before
  int64_t candidates = 0;  ///< of the pool, outside the window: what an index scan goes through
};

/// By the rule of a policy of fixed size: a pool keeps `options.pool` tokens outside the window at
/// every multiple of the block, whole pages leaving, and takes in what comes until the next one.
QueryTokens sparse_query_tokens(const policy::PolicyOptions& options, int64_t n_tokens);

/// Of reading `n_tokens` from the start of a text. `mean_retrieved` is what the policy says
/// (policy::Policy::mean_retrieved), since how many tokens are picked may be learned. None for
/// policies whose work has no such rule (oracle, the methods to compare with) and for adapters with
/// slots in use.
std::optional<Work> reading_work(const session::Engine& engine,
                                 const policy::PolicyOptions& options, int64_t n_tokens,
                                 double mean_retrieved);

}  // namespace dsrasq::eval
