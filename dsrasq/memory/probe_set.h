#pragma once

// The index queries of a question, kept so that pages can be ranked by them as they fill up
// (Retention::kQuestion).

#include <algorithm>
#include <cstdint>

#include "dsrasq/core/buffer.h"

namespace dsrasq::memory {

/// The last `kMaxProbes` index queries of one layer, in a ring.
class ProbeSet {
 public:
  static constexpr int64_t kMaxProbes = 64;

  ProbeSet() = default;
  ProbeSet(int64_t n_heads, int64_t head_dim);

  /// Adds n queries: codes `[n, n_h, d_i]`, scales and weights `[n, n_h]`.
  void add(int64_t n, const int8_t* codes, const float* scales, const float* weights);

  int64_t size() const {
    return added_.size() == 0 ? 0 : static_cast<int64_t>(std::min<uint64_t>(added_[0], kMaxProbes));
  }
  const int8_t* codes() const { return codes_.data(); }     ///< `[size, n_h, d_i]`
  const float* scales() const { return scales_.data(); }    ///< `[size, n_h]`
  const float* weights() const { return weights_.data(); }  ///< `[size, n_h]`
  size_t bytes() const {
    return codes_.bytes() + scales_.bytes() + weights_.bytes() + added_.bytes();
  }

  template <class Visit>
  void visit(Visit&& visit) const {
    visit("probe_codes", codes_.raw()), visit("probe_scales", scales_.raw());
    visit("probe_weights", weights_.raw()), visit("probe_added", added_.raw());
  }

 private:
  int64_t n_heads_ = 0, head_dim_ = 0;
  Buffer<int8_t> codes_;
  Buffer<float> scales_, weights_;
  Buffer<uint64_t> added_;  // [1], all ever added
};

}  // namespace dsrasq::memory
