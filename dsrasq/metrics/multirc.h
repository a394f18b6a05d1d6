#pragma once

// Questions with any number of right options, as MultiRC is scored (Khashabi et al. 2018;
// SuperGLUE).

#include <cstdint>
#include <set>
#include <string>

namespace dsrasq::metrics {

/// Sums over questions. Options are named by any strings, e.g. their numbers.
struct MultiRcCounts {
  int64_t n_questions = 0, n_exact = 0;  ///< exact: all right options were chosen, and no others
  int64_t n_common = 0, n_chosen = 0, n_right = 0;

  void add(const std::set<std::string>& chosen, const std::set<std::string>& right);
  /// F1 over all options of all questions, the right ones being the positive class.
  double f1a() const;
  /// The share of questions answered exactly.
  double exact_match() const;
};

}  // namespace dsrasq::metrics
