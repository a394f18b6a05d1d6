#pragma once

// The English data sets of LongBench (Bai et al. 2024; THUDM/LongBench config/, metrics.py) with
// the benchmark's own prompts, limits and metrics. The two of code are left out.

#include <cstdint>
#include <string>
#include <string_view>

#include "dsrasq/data/task_sample.h"

namespace dsrasq::eval {

enum class LongBenchMetric : uint8_t {
  kF1,
  kRouge,
  kClass,      ///< the right class, divided by the classes that are named
  kParagraph,  ///< share of the numbers that are the right paragraph's
  kCount,      ///< share of the numbers that are right
};

struct LongBenchSet {
  std::string_view name, before, after;  ///< the prompt around the context
  int64_t max_tokens = 0;
  LongBenchMetric metric{};
  bool first_line = false;  ///< of a prediction counts alone
};

/// "hotpotqa", or "hotpotqa_e" as LongBench-E calls it. Throws kInvalidArgument listing the names.
const LongBenchSet& longbench_set(std::string_view name);

/// From 0 to 1, the best over the references. Only what counts of a prediction
/// (`LongBenchSet::first_line`) is to be passed.
double longbench_score(const LongBenchSet& set, const std::string& prediction,
                       const data::TaskSample& sample);

}  // namespace dsrasq::eval
