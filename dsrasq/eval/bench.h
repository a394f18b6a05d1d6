#pragma once

// Speed and memory against length: how the cost of reading and of generating grows with what was
// read before.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/statistics.h"
#include "dsrasq/eval/work_count.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct BenchOptions {
  std::vector<int64_t> lengths{2048, 4096, 8192};
  int64_t segments = 0;
  int64_t repeats = 1;
  int64_t decode_tokens = 32;
  int64_t warmup_tokens = 512;
  int64_t delay = 0;
  uint64_t seed = 1;

  template <class Visit>
  void visit(Visit&& visit) {
    visit(lengths, "lengths", "tokens read, by commas");
    visit(segments, "segments", "also the speed within each part of so many tokens; 0: not");
    visit(repeats, "repeats", "measurements of each length; the median and the range are shown");
    visit(decode_tokens, "decode-tokens", "tokens generated at each length by bench decode");
    visit(warmup_tokens, "warmup-tokens", "tokens read before anything is timed");
    visit(delay, "delay", "seconds of rest before each measurement of bench decode");
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
  std::vector<double> seconds;      ///< of each repeat, in order
  uint64_t cache_bytes = 0;
  uint64_t peak_bytes = 0;        ///< most RAM of the process up to this length, weights included
  double mean_retrieved = 0;      ///< tokens per query and retrieving layer so far
  std::optional<Work> work;       ///< bench scaling: of reading `length` tokens
  std::vector<Segment> segments;  ///< prefill: up to this length, medians
};

/// How a quantity grows with the length, over the lengths that were measured.
struct Growth {
  std::string policy;
  std::string of;  ///< "seconds", "operations" or "cache_bytes_read"
  double exponent = 0;
  Interval interval;  ///< 95 %
};

struct BenchReport {
  std::string what;  ///< "prefill", "decode" or "scaling"
  std::vector<BenchRow> rows;
  /// Of the time (prefill: in all; decode: of one token) against length, by policy; NaN for one
  /// length.
  std::vector<std::pair<std::string, double>> exponents;
  std::vector<Growth> growth;  ///< bench scaling only
};

/// Times reading: each repeat is one pass over the longest length, and shorter ones are points on
/// its way. Throws kInvalidArgument for options out of range.
BenchReport bench_prefill(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                          const BenchOptions& options, const Progress& progress = nullptr);

/// Times generation: reads up to each length, then times single tokens. `progress` gets a line that
/// begins with "measured" after each repeat, so that another program can take turns with this one.
BenchReport bench_decode(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                         const BenchOptions& options, const Progress& progress = nullptr);

/// bench_prefill with what was counted beside what was timed, and with intervals of the exponents.
BenchReport bench_scaling(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                          const BenchOptions& options, const Progress& progress = nullptr);

/// `what`, `rows`, `exponent` (of the first policy, null when there is none), `exponents` and, of
/// bench_scaling, `growth`.
nlohmann::ordered_json to_json(const BenchReport& report);

}  // namespace dsrasq::eval
