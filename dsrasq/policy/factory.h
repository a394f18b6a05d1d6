#pragma once

// Policies by name, and what each will cost, known before any of it is allocated.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/policy/policy.h"
#include "dsrasq/policy/retrieval_heads.h"
#include "dsrasq/retriever/adapter.h"

namespace dsrasq::policy {

/// Sizes of a sequence's memory, in tokens (design 2 and 3).
struct PolicyOptions {
  std::string name = "dsrasq";
  int64_t window = 512;               ///< W
  int64_t sinks = 4;                  ///< n_sink
  int64_t top_k = 256;                ///< k, most tokens retrieved per query
  std::string retrieve = "auto";      ///< how many of them: auto, topk, threshold or budget
  double min_share = 0;               ///< of the attention, that a retrieved token has; 0: any
  int64_t slots = 128;                ///< r, where the adapter has trained slots
  int64_t pool = 16384;               ///< P, tokens that can still be retrieved
  std::string retention = "recency";  ///< what stays in a full pool: recency, score or question
  int64_t cache = 2048;               ///< tokens that a baseline holds per layer and KV head
  int64_t observed = 32;              ///< last tokens of a prompt that say what of it stays
  int64_t block = 512;                ///< m, the memory changes at multiples of it only
  int64_t max_distance = 0;           ///< d_max; 0: the adapter's, or 0.73 of the trained context
  uint64_t seed = 0;                  ///< of the `random` policy

  template <class Visit>
  void visit(Visit&& visit) {
    visit(
        name, "policy",
        "how the model attends: full, window, dsrasq, random, recency, oracle, or to compare with "
        "streaming-llm, h2o, tova, snapkv, pyramidkv, quest, razor, infini, infini-delta");
    visit(window, "window", "recent tokens that every query attends to");
    visit(sinks, "sinks", "first tokens that every query attends to");
    visit(top_k, "topk", "most tokens that the retriever picks for a query and layer");
    visit(retrieve, "retrieve",
          "how many of them: topk (all), threshold or budget (as trained), auto (what there is)");
    visit(min_share, "min-share",
          "least share of the attention of a retrieved token, instead of the trained thresholds");
    visit(slots, "slots", "latent slots of the compressive cache, where the adapter has them");
    visit(pool, "pool", "older tokens that can still be retrieved exactly");
    visit(retention, "retention", "what stays in a full pool: recency, score or question");
    visit(max_distance, "max-distance", "longest distance that RoPE sees; 0: as the adapter says");
    visit(
        cache, "cache",
        "tokens held per layer and KV head by streaming-llm, h2o, tova, snapkv, pyramidkv, razor, "
        "of a segment of infini, and read by a query of quest");
    visit(observed, "observed",
          "last tokens of a prompt whose attention says what snapkv and pyramidkv keep of it");
  }
};

const std::vector<std::string>& policy_names();

/// Throws kInvalidArgument naming the option that is out of range or unknown.
void check_options(const PolicyOptions& options);

/// Whether the memory grows with the text.
bool memory_grows(const PolicyOptions& options);

/// Bytes that the policy will reserve on the CPU; where the memory grows, bytes per 1,024 tokens
/// read.
size_t planned_bytes(const PolicyOptions& options, const AttentionShape& shape,
                     const retriever::Adapter* adapter);

/// The largest pool (a multiple of 16 tokens, at least 0) whose policy fits into `bytes`.
int64_t pool_for_budget(size_t bytes, PolicyOptions options, const AttentionShape& shape,
                        const retriever::Adapter* adapter);

/// `adapter` may be null except for `dsrasq`, `heads` except for `razor`; `adapter` and `shape`
/// must outlive the policy. Baselines (baselines.h) are the same everywhere; of the others, on the
/// CPU the policies of fixed size, elsewhere those of gpu_policy.h, which follow the same rules.
std::unique_ptr<Policy> make_policy(const PolicyOptions& options, const AttentionShape& shape,
                                    const retriever::Adapter* adapter, at::Device device = at::kCPU,
                                    const RetrievalHeads* heads = nullptr);

}  // namespace dsrasq::policy
