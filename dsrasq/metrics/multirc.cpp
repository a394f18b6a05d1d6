#include "dsrasq/metrics/multirc.h"

#include <algorithm>

#include "dsrasq/metrics/precision_recall.h"

namespace dsrasq::metrics {

void MultiRcCounts::add(const std::set<std::string>& chosen, const std::set<std::string>& right) {
  ++n_questions;
  n_exact += chosen == right;
  n_chosen += static_cast<int64_t>(chosen.size());
  n_right += static_cast<int64_t>(right.size());
  n_common += std::count_if(chosen.begin(), chosen.end(),
                            [&](const std::string& option) { return right.contains(option); });
}

double MultiRcCounts::f1a() const { return precision_recall(n_common, n_chosen, n_right).fmeasure; }

double MultiRcCounts::exact_match() const {
  return n_questions == 0 ? 0 : static_cast<double>(n_exact) / static_cast<double>(n_questions);
}

}  // namespace dsrasq::metrics
