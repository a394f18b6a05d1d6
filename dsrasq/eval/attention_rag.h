#pragma once

// AttentionRAG (Fang et al. 2025, arXiv 2503.10720): of a context stay the sentences that the first
// word of an answer attends to. A method that shortens prompts, not one that attends in another
// way.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

/// What `--policy` calls it.
inline constexpr const char* kAttentionRag = "attentionrag";

/// Prunes with the untouched model and full attention.
class ContextPruner {
 public:
  static constexpr int64_t kChunkTokens = 300;  ///< m
  static constexpr int64_t kTopTokens = 12;     ///< k

  /// `engine` must outlive this.
  explicit ContextPruner(const session::Engine& engine) : engine_(engine) {}

  struct Pruned {
    std::string context;
    uint64_t cache_bytes = 0;  ///< of the longest prompt that pruning read
  };
  /// The context in chunks of m tokens, each read in a prompt of its own with the question and the
  /// beginning of its answer (`answer_start`). Where the likeliest next token is that of "none",
  /// the chunk is dropped, unless it is the only one, which stays whole; else the sentences with
  /// the k tokens that this next token attends to most stay, in their order. Chunks are joined by
  /// line breaks. Throws kInterrupted.
  Pruned prune(const std::string& context, const std::string& question) const;

  /// How an answer to the question begins, as the model itself rewrites it from a few examples;
  /// empty for questions that are answered by yes or no.
  std::string answer_start(const std::string& question) const;

 private:
  struct Chunk;
  bool keep(Chunk& chunk, const std::string& question, const std::string& start, bool is_only,
            uint64_t& cache_bytes) const;

  const session::Engine& engine_;
};

/// Whether a question begins with an auxiliary verb.
bool asks_yes_or_no(std::string_view question);

/// The sentences of `text`, which end with . ! ? or a line break, that hold any of the bytes, in
/// their order.
std::string sentences_with(std::string_view text, const std::vector<size_t>& bytes);

}  // namespace dsrasq::eval
