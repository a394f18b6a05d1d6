#pragma once

// The log of a sum of exponentials, a term at a time, with no overflow.

#include "dsrasq/cuda/warp.cuh"

namespace dsrasq::cuda {

struct LogMass {
  float most = -INFINITY, sum = 0;  // the sum is of exp(term - most)

  // Terms that are no numbers do not count.
  template <int n>
  __device__ void add(const float (&terms)[n]) {
    LogMass own;
    for (const float term : terms) own.most = fmaxf(own.most, term);
    if (!(own.most > -INFINITY)) return;
    for (const float term : terms)
      if (term == term) own.sum += __expf(term - own.most);
    join(own);
  }
  __device__ void join(const LogMass& other) {
    if (!(other.most > -INFINITY)) return;
    const float top = fmaxf(most, other.most);
    sum = sum * __expf(most - top) + other.sum * __expf(other.most - top);
    most = top;
  }
  __device__ void join_lanes(int distance) {
    join({__shfl_xor_sync(kAllLanes, most, distance), __shfl_xor_sync(kAllLanes, sum, distance)});
  }
  __device__ float value() const { return most + logf(sum); }
};

}  // namespace dsrasq::cuda
