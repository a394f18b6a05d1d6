#pragma once

// Speed and memory against length: how the cost of reading and of generating grows with what was
// read before.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct BenchOptions {
  std::vector<int64_t> lengths{2048, 4096, 8192};
  int64_t segments = 0;
  int64_t repeats = 1;
  int64_t decode_tokens = 32;
  int64_t warmup_tokens = 512;
  uint64_t seed = 1;

  template <class Visit>
  void visit(Visit&& visit) {
    visit(lengths, "lengths", "tokens read, by commas");
    visit(segments, "segments", "also the speed within each part of so many tokens; 0: not");
    visit(repeats, "repeats", "measurements of each length; the median and the range are shown");
    visit(decode_tokens, "decode-tokens", "tokens generated at each length by bench decode");
    visit(warmup_tokens, "warmup-tokens", "tokens read before anything is timed");
    visit(seed, "seed", "of the random tokens that are read");
  }
};

/// Speed of reading one part of the stream.
struct Segment {
  int64_t first = 0, tokens = 0;
  double tokens_per_s = 0;
};

/// One length under one policy. Prefill: all `length` tokens from the first; decode: single tokens
/// after `length` tokens.
struct BenchRow {
  int64_t length = 0;
  std::string policy;
  double tokens_per_s = 0;          ///< median over the repeats
  double slowest = 0, fastest = 0;  ///< tokens/s
  uint64_t cache_bytes = 0;
  uint64_t peak_bytes = 0;        ///< most RAM of the process up to this length, weights included
  std::vector<Segment> segments;  ///< prefill: up to this length, medians
};

struct BenchReport {
  std::string what;  ///< "prefill" or "decode"
  std::vector<BenchRow> rows;
  /// Of the time (prefill: in all; decode: of one token) against length, by policy; NaN for one
  /// length.
  std::vector<std::pair<std::string, double>> exponents;
};

/// Times reading: each repeat is one pass over the longest length, and shorter ones are points on
/// its way. Throws kInvalidArgument for options out of range.
BenchReport bench_prefill(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                          const BenchOptions& options, const Progress& progress = nullptr);

/// Times generation: reads up to each length, then times single tokens.
BenchReport bench_decode(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                         const BenchOptions& options, const Progress& progress = nullptr);

/// `what`, `rows`, `exponent` (of the first policy, null when there is none) and `exponents`.
nlohmann::ordered_json to_json(const BenchReport& report);

}  // namespace dsrasq::eval
