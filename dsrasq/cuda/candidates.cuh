#pragma once

// The best of a stream of scores, in shared memory: what beats the k-th best so far is kept until
// there is no more room, then a warp drops all but the best k. Exact, ties included.

#include <climits>
#include <cstdint>

#include "dsrasq/cuda/warp.cuh"

namespace dsrasq::cuda {

/// As an unsigned number in the same order.
__device__ inline uint32_t ordered(float z) {
  const uint32_t bits = __float_as_uint(z);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float unordered(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/// One query's candidates. Positions are distinct; when the threshold was set, later ones are
/// higher.
struct Candidates {
  float* z;       // [room]
  int* position;  // [room]
  int* count;
  float* threshold;  // only what is above it can be among the best

  __device__ void add(float score, int at) const {
    const int place = atomicAdd(count, 1);
    z[place] = score;
    position[place] = at;
  }

  // By a whole warp: how many of the first n satisfy `is_in`.
  template <class Test>
  __device__ int how_many(int n, int lane, const Test& is_in) const {
    int own = 0;
    for (int i = lane; i < n; i += 32) own += is_in(i) ? 1 : 0;
    return __reduce_add_sync(kAllLanes, own);
  }

  // By a whole warp: leaves the best k, of equal scores those at the lowest positions.
  __device__ void keep_best(int k, int lane) const {
    const int n = *count;
    if (n <= k) return;
    uint32_t kth = 0;  // the k-th best score
    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
      const uint32_t trial = kth | bit;
      if (how_many(n, lane, [&](int i) { return ordered(z[i]) >= trial; }) >= k) kth = trial;
    }
    const int above = how_many(n, lane, [&](int i) { return ordered(z[i]) > kth; });
    const int equal = how_many(n, lane, [&](int i) { return ordered(z[i]) == kth; });
    int last = INT_MAX;  // highest position of an equal one that stays
    if (above + equal > k) {
      last = 0;
      for (int bit = 1 << 30; bit != 0; bit >>= 1) {
        // The largest value below which too few lie.
        const int trial = last | bit;
        const int lower =
            how_many(n, lane, [&](int i) { return ordered(z[i]) == kth && position[i] < trial; });
        if (above + lower < k) last = trial;
      }
    }
    compact(n, lane, [&](int i) {
      const uint32_t key = ordered(z[i]);
      return key > kth || (key == kth && position[i] <= last);
    });
    if (lane == 0) *threshold = unordered(kth);
    __syncwarp();
  }

  template <class Test>
  __device__ void compact(int n, int lane, const Test& stays) const {
    int kept = 0;
    for (int base = 0; base < n; base += 32) {
      const int i = base + lane;
      const bool stay = i < n && stays(i);
      const float own_z = i < n ? z[i] : 0;
      const int own_position = i < n ? position[i] : 0;
      const unsigned mask = __ballot_sync(kAllLanes, stay);
      __syncwarp();
      if (stay) {
        const int place = kept + __popc(mask & ((1u << lane) - 1));
        z[place] = own_z;
        position[place] = own_position;
      }
      kept += __popc(mask);
      __syncwarp();
    }
    if (lane == 0) *count = kept;
    __syncwarp();
  }

  // By a whole warp: bitonic sort of the first n, filled up to a power of two.
  __device__ void sort(int n, int lane, bool best_first) const {
    int size = 1;
    while (size < n) size *= 2;
    for (int i = n + lane; i < size; i += 32) z[i] = -INFINITY, position[i] = INT_MAX;
    __syncwarp();
    const auto comes_first = [&](int a, int b) {
      if (best_first && z[a] != z[b]) return z[a] > z[b];
      return position[a] < position[b];
    };
    for (int width = 2; width <= size; width *= 2)
      for (int step = width / 2; step > 0; step /= 2) {
        for (int pair = lane; pair < size / 2; pair += 32) {
          const int a = pair / step * 2 * step + pair % step, b = a + step;
          const bool upward = (a & width) == 0;
          if (comes_first(b, a) == upward) swap(a, b);
        }
        __syncwarp();
      }
  }

 private:
  __device__ void swap(int a, int b) const {
    const float own_z = z[a];
    z[a] = z[b], z[b] = own_z;
    const int own = position[a];
    position[a] = position[b], position[b] = own;
  }
};

}  // namespace dsrasq::cuda
