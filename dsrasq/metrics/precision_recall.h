#pragma once

// The two sides of an overlap, and the one number that joins them.

#include <cstdint>

namespace dsrasq::metrics {

/// Shares from 0 to 1.
struct PrecisionRecall {
  double precision = 0, recall = 0;
  double fmeasure = 0;  ///< harmonic mean; 0 where both are 0
};

/// Of `n_common` units out of `n_prediction` and `n_reference`; a side without units has share 0.
inline PrecisionRecall precision_recall(int64_t n_common, int64_t n_prediction,
                                        int64_t n_reference) {
  const auto share = [&](int64_t n) {
    return n > 0 ? static_cast<double>(n_common) / static_cast<double>(n) : 0.0;
  };
  PrecisionRecall out{share(n_prediction), share(n_reference), 0};
  if (n_common > 0) out.fmeasure = 2 * out.precision * out.recall / (out.precision + out.recall);
  return out;
}

}  // namespace dsrasq::metrics
