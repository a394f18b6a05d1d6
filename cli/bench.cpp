// dsrasq bench: speed and memory against length.

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/policy_list_options.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/bench.h"

namespace dsrasq::cli {
namespace {

struct BenchConfig {
  eval::BenchOptions bench;
  session::EngineOptions engine;
  PolicyListOptions policies;

  template <class V>
  void visit(V&& v) {
    bench.visit(v);
    engine.visit(v);
    policies.visit(v);
  }
};

// A scale wants more points than a speed does.
struct ScalingConfig : BenchConfig {
  ScalingConfig() { bench.lengths = {1024, 2048, 4096, 8192, 16384}; }
};

template <class Bench>
nlohmann::ordered_json run(const BenchConfig& config, const Console& console, const Bench& bench) {
  const auto policies = eval::parse_policies(config.policies.policy.name, config.policies.policy);
  watch_interrupts();
  const session::Engine engine(config.engine);
  const eval::BenchReport report =
      bench(engine, policies, config.bench, [&](const std::string& line) { console.note(line); });
  nlohmann::ordered_json result = eval::to_json(report);
  console.result_lines(result);
  return result;
}

nlohmann::ordered_json prefill(const BenchConfig& config, const Console& console) {
  return run(config, console, eval::bench_prefill);
}
nlohmann::ordered_json decode(const BenchConfig& config, const Console& console) {
  return run(config, console, eval::bench_decode);
}
nlohmann::ordered_json scaling(const ScalingConfig& config, const Console& console) {
  return run(config, console, eval::bench_scaling);
}

}  // namespace

Command bench_prefill_command() {
  return make_command<BenchConfig>(
      {"bench prefill", "speed of reading against length",
       "  dsrasq bench prefill --lengths 4096,16384 --policy full,dsrasq\n"},
      prefill);
}

Command bench_decode_command() {
  return make_command<BenchConfig>(
      {"bench decode", "speed of generating against length",
       "  dsrasq bench decode --lengths 4096,16384 --policy full,dsrasq --decode-tokens 64\n"},
      decode);
}

Command bench_scaling_command() {
  return make_command<ScalingConfig>(
      {"bench scaling", "time, operations and bytes of reading against length",
       "  dsrasq bench scaling --lengths 1024,4096,16384 --policy full,dsrasq --json > "
       "scaling.json\n"
       "  dsrasq report scaling.json -o scaling.html\n"},
      scaling);
}

}  // namespace dsrasq::cli
