#pragma once

// Policies by name, and what each will cost, known before any of it is allocated.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/policy/policy.h"
#include "dsrasq/retriever/adapter.h"

namespace dsrasq::policy {

/// Sizes of a sequence's memory, in tokens (design 2 and 3).
struct PolicyOptions {
  std::string name = "dsrasq";
  int64_t window = 512;               ///< W
  int64_t sinks = 4;                  ///< n_sink
  int64_t top_k = 256;                ///< k, most tokens retrieved per query
  int64_t slots = 128;                ///< r, where the adapter has trained slots
  int64_t pool = 16384;               ///< P, tokens that can still be retrieved
  std::string retention = "recency";  ///< what stays in a full pool: recency, score or question
  int64_t block = 512;                ///< m, the memory changes at multiples of it only
  int64_t max_distance = 0;           ///< d_max; 0: the adapter's, or 0.73 of the trained context
  uint64_t seed = 0;                  ///< of the `random` policy

  template <class Visit>
  void visit(Visit&& visit) {
    visit(name, "policy", "how the model attends: full, window, dsrasq, random, recency, oracle");
    visit(window, "window", "recent tokens that every query attends to");
    visit(sinks, "sinks", "first tokens that every query attends to");
    visit(top_k, "topk", "most tokens that the retriever picks for a query and layer");
    visit(slots, "slots", "latent slots of the compressive cache, where the adapter has them");
    visit(pool, "pool", "older tokens that can still be retrieved exactly");
    visit(retention, "retention", "what stays in a full pool: recency, score or question");
    visit(max_distance, "max-distance", "longest distance that RoPE sees; 0: as the adapter says");
  }
};

const std::vector<std::string>& policy_names();

/// Throws kInvalidArgument naming the option that is out of range or unknown.
void check_options(const PolicyOptions& options);

/// Bytes that the policy will reserve; for `full`, bytes per 1,024 tokens read.
size_t planned_bytes(const PolicyOptions& options, const AttentionShape& shape,
                     const retriever::Adapter* adapter);

/// The largest pool (a multiple of 16 tokens, at least 0) whose policy fits into `bytes`.
int64_t pool_for_budget(size_t bytes, PolicyOptions options, const AttentionShape& shape,
                        const retriever::Adapter* adapter);

/// `adapter` may be null except for `dsrasq`; it and `shape` must outlive the policy. On the CPU
/// the policies of fixed size; elsewhere MaskedPolicy, which follows the same rules.
std::unique_ptr<Policy> make_policy(const PolicyOptions& options, const AttentionShape& shape,
                                    const retriever::Adapter* adapter,
                                    at::Device device = at::kCPU);

}  // namespace dsrasq::policy
