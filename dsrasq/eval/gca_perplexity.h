#pragma once

// Perplexity of a model that `train lm --attention gca` made. It is no transformer under a policy,
// so it has a run of its own, over the same stretches.

#include <nlohmann/json_fwd.hpp>

#include "dsrasq/eval/perplexity.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

/// The result of run_perplexity with one policy, "gca". `cache_bytes` is what a decoder would have
/// to hold at the end of a stretch; here the stretch is read at once. Throws kBadInput for files
/// that are wrong, kInvalidArgument as read_stretches does.
nlohmann::ordered_json run_gca_perplexity(const session::EngineOptions& engine,
                                          const PerplexityOptions& options,
                                          const Progress& progress = nullptr);

}  // namespace dsrasq::eval
