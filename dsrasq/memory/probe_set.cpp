#include "dsrasq/memory/probe_set.h"

namespace dsrasq::memory {

ProbeSet::ProbeSet(int64_t n_heads, int64_t head_dim)
    : n_heads_(n_heads),
      head_dim_(head_dim),
      codes_(kMaxProbes * n_heads * head_dim),
      scales_(kMaxProbes * n_heads),
      weights_(kMaxProbes * n_heads),
      added_(1) {}

void ProbeSet::add(int64_t n, const int8_t* codes, const float* scales, const float* weights) {
  for (int64_t i = 0; i < n; ++i) {
    const auto place = static_cast<int64_t>(added_[0]++ % kMaxProbes);
    const int64_t width = n_heads_ * head_dim_;
    std::copy_n(codes + i * width, width, codes_.data() + place * width);
    std::copy_n(scales + i * n_heads_, n_heads_, scales_.data() + place * n_heads_);
    std::copy_n(weights + i * n_heads_, n_heads_, weights_.data() + place * n_heads_);
  }
}

}  // namespace dsrasq::memory
