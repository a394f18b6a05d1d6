#include "dsrasq/eval/work_count.h"

#include <algorithm>
#include <cmath>

#include "dsrasq/memory/token_pool.h"

namespace dsrasq::eval {
namespace {

using policy::PolicyOptions;

constexpr int64_t kFloatBytes = sizeof(float);

// 1 + 2 + ... up to `window`, then `window` for each further one: tokens that queries 0 to n - 1
// see behind and at their own position.
int64_t window_tokens(int64_t n, int64_t window) {
  const int64_t rising = std::min(n, window);
  return rising * (rising + 1) / 2 + (n - rising) * window;
}

int64_t low_rank_operations(const retriever::LoraByLayer& lora) {
  int64_t weights = 0;
  for (const auto& [layer, parts] : lora) {
    auto visited = parts;  // `visit` gives parts that may be changed
    visited.visit([&](const char*, const retriever::LowRank& part) {
      if (part.defined()) weights += part.a.numel() + part.b.numel();
    });
  }
  return 2 * weights;
}

// Of one token in all layers.
int64_t linear_operations(const checkpoint::ModelConfig& config) {
  const int64_t q = config.n_heads * config.head_dim, kv = config.n_kv_heads * config.head_dim;
  return 2 * config.n_layers * config.n_embd * (2 * q + 2 * kv + 3 * config.n_ff);
}

bool may_retrieve(const PolicyOptions& options) {
  return options.name == "dsrasq" || options.name == "random" || options.name == "recency";
}

bool has_pool(const PolicyOptions& options) {
  return may_retrieve(options) && options.top_k > 0 && options.pool > 0;
}

// Adds what one layer of a pool's policy costs beyond its sinks and window.
void add_pool_work(const session::Engine& engine, const PolicyOptions& options, int64_t n_tokens,
                   double mean_retrieved, Work& work) {
  const checkpoint::ModelConfig& config = engine.model().config();
  const auto picked = std::llround(mean_retrieved * static_cast<double>(n_tokens));
  work.operations += 4 * config.n_heads * config.head_dim * picked;
  work.cache_bytes += picked * 2 * config.n_kv_heads * (config.head_dim + kFloatBytes);
  if (options.name != "dsrasq") return;
  const int64_t heads = engine.adapter()->n_heads, dim = engine.adapter()->head_dim;
  const int64_t scanned = sparse_query_tokens(options, n_tokens).candidates;
  work.operations += 2 * n_tokens * config.n_embd * (heads * dim + dim + heads + 1);
  work.operations += 2 * scanned * heads * (dim + 1);  // a product, then the heads' weighted sum
  work.cache_bytes += scanned * (dim + kFloatBytes);
}

}  // namespace

QueryTokens sparse_query_tokens(const PolicyOptions& options, int64_t n_tokens) {
  QueryTokens sum{.local = window_tokens(n_tokens, options.window), .candidates = 0};
  int64_t first = options.sinks;  // the oldest token that the pool still has
  for (int64_t i = 0; i < n_tokens; ++i) {
    const int64_t end = i - options.window + 1;  // tokens before this one have left the window
    sum.local += std::clamp<int64_t>(end, 0, options.sinks);
    if (i % options.block == 0) {
      // Before position i is read, its own window still begins a token earlier.
      const int64_t excess = end - 1 - first - options.pool;
      if (excess > 0)
        first += (excess + memory::kPageTokens - 1) / memory::kPageTokens * memory::kPageTokens;
    }
    sum.candidates += std::max<int64_t>(0, end - first);
  }
  return sum;
}

std::optional<Work> reading_work(const session::Engine& engine, const PolicyOptions& options,
                                 int64_t n_tokens, double mean_retrieved) {
  const bool is_full = options.name == "full";
  if (!is_full && options.name != "window" && !may_retrieve(options)) return std::nullopt;
  const retriever::Adapter* adapter = engine.adapter();
  if (has_pool(options) && adapter != nullptr && !adapter->slots.empty() && options.slots > 0)
    return std::nullopt;
  const checkpoint::ModelConfig& config = engine.model().config();
  Work work{.operations = n_tokens * linear_operations(config), .cache_bytes = 0};
  if (&engine.model_for(options) != &engine.model())
    work.operations += n_tokens * low_rank_operations(adapter->lora);
  const QueryTokens sparse = sparse_query_tokens(options, n_tokens);
  for (const int64_t sliding : config.sliding_window) {
    const int64_t local = sliding > 0 ? window_tokens(n_tokens, sliding)
                          : is_full   ? window_tokens(n_tokens, n_tokens)
                                      : sparse.local;
    work.operations += 4 * config.n_heads * config.head_dim * local;
    work.cache_bytes += 2 * config.n_kv_heads * config.head_dim * kFloatBytes * local;
    if (sliding == 0 && has_pool(options))
      add_pool_work(engine, options, n_tokens, mean_retrieved, work);
  }
  return work;
}

}  // namespace dsrasq::eval
