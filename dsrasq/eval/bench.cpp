#include "dsrasq/eval/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/seconds.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kInBench = "eval.bench";

void check(const BenchOptions& options) {
  DSRASQ_CHECK(!options.lengths.empty(), kInvalidArgument, kInBench, "lengths is empty");
  for (const int64_t length : options.lengths)
    DSRASQ_CHECK(length > 0, kInvalidArgument, kInBench, "lengths has ", length,
                 ", want 1 or more");
  DSRASQ_CHECK(options.segments >= 0, kInvalidArgument, kInBench, "segments is ", options.segments,
               ", want 0 or more");
  DSRASQ_CHECK(options.repeats > 0, kInvalidArgument, kInBench, "repeats is ", options.repeats,
               ", want 1 or more");
  DSRASQ_CHECK(options.decode_tokens > 0, kInvalidArgument, kInBench, "decode-tokens is ",
               options.decode_tokens, ", want 1 or more");
  DSRASQ_CHECK(options.warmup_tokens >= 0, kInvalidArgument, kInBench, "warmup-tokens is ",
               options.warmup_tokens, ", want 0 or more");
  DSRASQ_CHECK(options.delay >= 0, kInvalidArgument, kInBench, "delay is ", options.delay,
               ", want 0 or more");
}

std::vector<int32_t> random_ids(const session::Engine& engine, int64_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto vocab = static_cast<uint64_t>(engine.tokenizer().vocab_size());
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random_below(random, vocab));
  return ids;
}

// Lets the process's peak memory start again at what it holds now. Where the kernel does not allow
// it, the peak stays that of the whole run.
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << 5; }

void warm_up(const session::Engine& engine, const NamedPolicy& named,
             const std::vector<int32_t>& ids, const BenchOptions& options) {
  const auto n = std::min<size_t>(ids.size(), static_cast<size_t>(options.warmup_tokens));
  session::Session session(engine, named.options);
  session.read(std::span(ids).first(n));
  reset_peak_memory();
}

void rest(int64_t seconds) {
  for (int64_t i = 0; i < seconds; ++i) {
    check_interrupt();
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

// What one pass measured at a length.
struct Mark {
  std::vector<double> seconds;  // one for each repeat
  uint64_t cache_bytes = 0, peak_bytes = 0;
  double mean_retrieved = 0;
};
using Marks = std::map<int64_t, Mark>;

std::set<int64_t> stops(const BenchOptions& options) {
  std::set<int64_t> all(options.lengths.begin(), options.lengths.end());
  const int64_t longest = *all.rbegin();
  for (int64_t at = options.segments; at > 0 && at <= longest; at += options.segments)
    all.insert(at);
  return all;
}

// Reads up to each stop and notes what `measure` says there in seconds.
void pass(session::Session& session, const std::vector<int32_t>& ids,
          const std::set<int64_t>& stops, Marks& marks, const std::function<double()>& measure) {
  for (const int64_t stop : stops) {
    const auto at = static_cast<size_t>(session.position());
    if (static_cast<size_t>(stop) > at)
      session.read(std::span(ids).subspan(at, static_cast<size_t>(stop) - at));
    Mark& mark = marks[stop];
    mark.seconds.push_back(measure());
    mark.cache_bytes = session.policy().bytes();
    mark.mean_retrieved = session.policy().mean_retrieved();
    mark.peak_bytes = std::max(mark.peak_bytes, peak_rss_bytes());
  }
}

// `n_tokens`: how many tokens the seconds of a mark are for.
BenchRow make_row(const std::string& policy, int64_t length, const Mark& mark, int64_t n_tokens) {
  const auto n = static_cast<double>(n_tokens);
  const auto [least, most] = std::minmax_element(mark.seconds.begin(), mark.seconds.end());
  return {.length = length,
          .policy = policy,
          .tokens_per_s = n / median(mark.seconds),
          .slowest = n / *most,
          .fastest = n / *least,
          .seconds = mark.seconds,
          .cache_bytes = mark.cache_bytes,
          .peak_bytes = mark.peak_bytes,
          .mean_retrieved = mark.mean_retrieved,
          .work = std::nullopt,
          .segments = {}};
}

std::vector<Segment> speed_by_segment(const Marks& marks, int64_t segment, int64_t length) {
  std::vector<Segment> parts;
  for (int64_t end = segment; segment > 0 && end <= length; end += segment) {
    const Mark* before = end > segment ? &marks.at(end - segment) : nullptr;
    std::vector<double> seconds = marks.at(end).seconds;
    for (size_t i = 0; before != nullptr && i < seconds.size(); ++i)
      seconds[i] -= before->seconds[i];
    parts.push_back({end - segment, segment, static_cast<double>(segment) / median(seconds)});
  }
  return parts;
}

void add_exponent(BenchReport& report, const std::string& policy, const Marks& marks,
                  const std::vector<int64_t>& lengths) {
  std::vector<double> x, y;
  for (const int64_t length : lengths) {
    x.push_back(static_cast<double>(length));
    y.push_back(median(marks.at(length).seconds));
  }
  report.exponents.emplace_back(policy, fitted_exponent(x, y));
}

// How the rows of one policy grow in three respects; those that no row has are left out.
void add_growth(BenchReport& report, const std::string& policy) {
  std::vector<double> length, seconds, operations, bytes;
  for (const BenchRow& row : report.rows) {
    if (row.policy != policy) continue;
    length.push_back(static_cast<double>(row.length));
    seconds.push_back(median(row.seconds));
    if (!row.work) continue;
    operations.push_back(static_cast<double>(row.work->operations));
    bytes.push_back(static_cast<double>(row.work->cache_bytes));
  }
  const auto add = [&](const char* of, const std::vector<double>& values) {
    if (values.empty()) return;
    const PowerFit fit = fitted_power(length, values);
    report.growth.push_back(
        {.policy = policy, .of = of, .exponent = fit.exponent, .interval = fit.interval});
  };
  add("seconds", seconds), add("operations", operations), add("cache_bytes_read", bytes);
}

std::string line(const NamedPolicy& named, const BenchRow& row) {
  return concat(named.label, ", ", row.length, " tokens: ", row.tokens_per_s, " tokens/s, cache ",
                row.cache_bytes, " bytes");
}

}  // namespace

BenchReport bench_prefill(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                          const BenchOptions& options, const Progress& progress) {
  check(options);
  const std::set<int64_t> all = stops(options);
  const std::vector<int32_t> ids = random_ids(engine, *all.rbegin(), options.seed);
  BenchReport report{.what = "prefill", .rows = {}, .exponents = {}};
  for (const NamedPolicy& named : policies) {
    warm_up(engine, named, ids, options);
    Marks marks;
    for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
      session::Session session(engine, named.options);
      const Clock::time_point start = Clock::now();
      pass(session, ids, all, marks, [&] { return seconds_since(start); });
    }
    for (const int64_t length : options.lengths) {
      report.rows.push_back(make_row(named.label, length, marks.at(length), length));
      report.rows.back().segments = speed_by_segment(marks, options.segments, length);
      if (progress) progress(line(named, report.rows.back()));
    }
    add_exponent(report, named.label, marks, options.lengths);
  }
  return report;
}

BenchReport bench_decode(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                         const BenchOptions& options, const Progress& progress) {
  check(options);
  const std::set<int64_t> lengths(options.lengths.begin(), options.lengths.end());
  const std::vector<int32_t> ids = random_ids(engine, *lengths.rbegin(), options.seed);
  BenchReport report{.what = "decode", .rows = {}, .exponents = {}};
  for (const NamedPolicy& named : policies) {
    warm_up(engine, named, ids, options);
    Marks marks;
    session::Session session(engine, named.options);
    const auto generate = [&] {
      rest(options.delay);
      const auto depth = session.position();
      const Clock::time_point start = Clock::now();
      for (int64_t i = 0; i < options.decode_tokens; ++i) {
        const int32_t next = ids[static_cast<size_t>(i) % ids.size()];
        session.next_logits();
        session.read(std::span(&next, 1));
      }
      const double seconds = seconds_since(start);
      if (progress)
        progress(concat("measured ", named.label, " behind ", depth, " tokens: ",
                        static_cast<double>(options.decode_tokens) / seconds, " tokens/s"));
      return seconds;
    };
    for (const int64_t length : lengths) {
      pass(session, ids, {length}, marks, generate);
      for (int64_t repeat = 1; repeat < options.repeats; ++repeat)
        marks.at(length).seconds.push_back(generate());
    }
    for (const int64_t length : options.lengths) {
      report.rows.push_back(make_row(named.label, length, marks.at(length), options.decode_tokens));
      if (progress) progress(line(named, report.rows.back()));
    }
    add_exponent(report, named.label, marks, options.lengths);
  }
  return report;
}

BenchReport bench_scaling(const session::Engine& engine, const std::vector<NamedPolicy>& policies,
                          const BenchOptions& options, const Progress& progress) {
  BenchReport report = bench_prefill(engine, policies, options, progress);
  report.what = "scaling";
  size_t i = 0;
  for (const NamedPolicy& named : policies) {
    for (size_t n = 0; n < options.lengths.size(); ++n, ++i)
      report.rows[i].work =
          reading_work(engine, named.options, report.rows[i].length, report.rows[i].mean_retrieved);
    add_growth(report, named.label);
  }
  return report;
}

nlohmann::ordered_json to_json(const BenchReport& report) {
  using Json = nlohmann::ordered_json;
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  Json out{{"what", report.what}}, rows = Json::array(), exponents = Json::object();
  for (const BenchRow& row : report.rows) {
    Json line{{"length", row.length},
              {"policy", row.policy},
              {"tokens_per_s", row.tokens_per_s},
              {"slowest", row.slowest},
              {"fastest", row.fastest},
              {"seconds", row.seconds},
              {"cache_bytes", row.cache_bytes},
              {"peak_bytes", row.peak_bytes},
              {"mean_retrieved", row.mean_retrieved}};
    if (row.work) {
      line["operations"] = row.work->operations;
      line["cache_bytes_read"] = row.work->cache_bytes;
    }
    for (const Segment& part : row.segments)
      line["segments"].push_back(
          {{"first", part.first}, {"tokens", part.tokens}, {"tokens_per_s", part.tokens_per_s}});
    rows.push_back(std::move(line));
  }
  for (const auto& [policy, exponent] : report.exponents) exponents[policy] = number(exponent);
  out["rows"] = std::move(rows);
  out["exponent"] = report.exponents.empty() ? Json() : number(report.exponents.front().second);
  out["exponents"] = std::move(exponents);
  for (const Growth& growth : report.growth)
    out["growth"].push_back({{"policy", growth.policy},
                             {"of", growth.of},
                             {"exponent", number(growth.exponent)},
                             {"low", number(growth.interval.low)},
                             {"high", number(growth.interval.high)}});
  return out;
}

}  // namespace dsrasq::eval
