#pragma once

// The options that every command with a model shares, and how much memory a session gets.

#include <cstdint>
#include <memory>
#include <string_view>

#include "cli/console.h"
#include "cli/fields.h"
#include "dsrasq/model/sampler.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/session/engine.h"
#include "dsrasq/session/session.h"

namespace dsrasq::cli {

/// A pool of this size is made as large as the texts need and the budget allows.
inline constexpr int64_t kPoolToFit = -1;

/// Model, policy and memory.
struct SessionOptions {
  session::EngineOptions engine;
  policy::PolicyOptions policy{.pool = kPoolToFit};
  ByteSize memory;

  template <class V>
  void visit(V&& v) {
    engine.visit(v);
    policy.visit([&v](auto& field, const char* name, const char* help) {
      const bool is_pool = std::string_view(name) == "pool";
      v(field, name,
        is_pool
            ? "older tokens that can still be retrieved exactly; -1: as many as --memory allows "
              "and the texts have"
            : help);
    });
    v(memory, "memory",
      "most bytes of the session's memory, e.g. 512M or 2GiB; 0: a quarter of "
      "the RAM, at most 2 GiB");
  }
};

/// How an answer is generated.
struct AnswerOptions {
  model::SamplingConfig sampling;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;

  template <class V>
  void visit(V&& v) {
    v(max_tokens, "max-tokens", "most tokens of an answer");
    v(sampling.temperature, "temperature", "of the sampling; 0: always the likeliest token");
    v(sampling.top_k, "top-k-sampling", "draw from the k likeliest tokens; 0: from all");
    v(sampling.top_p, "top-p",
      "draw from the likeliest tokens that together have this probability");
    v(sampling.min_p, "min-p", "leave out tokens less likely than this share of the likeliest");
    v(sampling.repeat_penalty, "repeat-penalty", "over 1: words that were used lately are avoided");
    v(stop, "stop", "texts that end an answer");
    v(sampling.seed, "seed", "of the sampling");
  }
  /// Throws kInvalidArgument naming a value that is out of range. Call it before anything is read.
  void check() const;
  session::GenerateOptions generate_options() const {
    return {.max_tokens = max_tokens, .stop = stop, .sampling = sampling};
  }
};

/// Refuses, before anything big is loaded, options whose smallest memory does not fit beside the
/// model (kResourceExhausted, saying how much it takes and which option shrinks it); then loads the
/// model. From here on Ctrl-C is a request.
session::Engine load_engine(const SessionOptions& options, const Console& console);

/// The policy's options with the pool's size settled for a text of `n_tokens`, within the budget
/// less `reserved` bytes. Says on the console what part of the text can be recalled exactly when
/// that is not all. Throws kResourceExhausted when the budget is too small.
policy::PolicyOptions fit_pool(const session::Engine& engine, const SessionOptions& options,
                               int64_t n_tokens, const Console& console, uint64_t reserved = 0);
/// Whether the budget has room for `bytes` beside the smallest memory that fit_pool could settle.
bool has_room_for(uint64_t bytes, const session::Engine& engine, const SessionOptions& options);

/// "memory: 226 MiB fixed for this session", or "memory: 90 MiB so far" of a policy that grows.
std::string memory_line(const policy::Policy& policy);
/// Whether the memory was all reserved at the start.
bool is_fixed(const policy::Policy& policy);

/// Throws kInvalidArgument when an option was given that a session file settles.
void refuse_policy_options(const SessionOptions& options);

}  // namespace dsrasq::cli
