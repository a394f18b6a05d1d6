#pragma once

// The best of a stream of scores, in shared memory: what beats a bound that k so far reach is kept
// until there is no more room, then a warp drops what cannot be among the best k. Exact, ties
// included.

#include <climits>
#include <cstdint>

#include "dsrasq/cuda/warp.cuh"

namespace dsrasq::cuda {

struct Candidate {
  float z;
  int position;
};

/// As an unsigned number in the same order, never 0.
__device__ inline uint32_t ordered(float z) {
  const uint32_t bits = __float_as_uint(z);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float unordered(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/// A bound that `n` ordered scores reach, and beyond it the last position that stays of those that
/// are equal to it.
struct Cut {
  uint32_t key;
  int n;
  int last = INT_MAX;

  __device__ bool keeps(uint32_t score, int position) const {
    return (score > key) | ((score == key) & (position <= last));
  }
};

/// A bound that at least k of a group's scores reach, and where ties allow it at most k + slack,
/// between `cut`, which more reach, and `high`, which is at least the best. Each thread of the
/// group has kPer of them, 0 for none; `sum` adds up over the group.
template <int kPer, class Sum>
__device__ Cut highest_cut(const uint32_t (&score)[kPer], Cut cut, uint32_t high, int k, int slack,
                           const Sum& sum) {
  while (cut.n > k + slack && cut.key < high) {
    const uint32_t middle = cut.key + (high - cut.key) / 2 + 1;
    int own = 0;
#pragma unroll
    for (int e = 0; e < kPer; ++e) own += score[e] >= middle ? 1 : 0;
    const int n = sum(own);
    if (n >= k)
      cut.key = middle, cut.n = n;
    else
      high = middle - 1;
  }
  return cut;
}

/// Of a cut that more than k reach because of ties: the k-th of them by position. `position(e)` is
/// that of a thread's e-th score.
template <int kPer, class Position, class Sum>
__device__ int last_of_equals(const uint32_t (&score)[kPer], const Cut& cut, int k,
                              const Position& position, const Sum& sum) {
  int last = 0;
  for (int bit = 1 << 30; bit != 0; bit >>= 1) {
    const int trial = last | bit;  // the largest value below which too few lie
    int own = 0;
    for (int e = 0; e < kPer; ++e)
      own += (score[e] > cut.key) | ((score[e] == cut.key) & (position(e) < trial)) ? 1 : 0;
    if (sum(own) < k) last = trial;
  }
  return last;
}

/// One query's candidates. Positions are distinct; when the threshold was set, later ones are
/// higher.
struct Candidates {
  Candidate* entries;  // [room]
  int* count;
  float* threshold;  // only what is above it can be among the best

  // By a whole warp: leaves the best k, of equal scores those at the lowest positions, and up to
  // `slack` more. At most 32 kPer are there.
  template <int kPer>
  __device__ void keep_best(int k, int slack, int lane) const {
    const int n = *count;
    if (n <= k + slack) return;
    uint32_t score[kPer], low = ~0u, high = 0;
#pragma unroll
    for (int e = 0; e < kPer; ++e) {
      const bool is_one = lane + 32 * e < n;
      score[e] = is_one ? ordered(entries[lane + 32 * e].z) : 0;
      if (is_one) low = min(low, score[e]), high = max(high, score[e]);
    }
    const auto sum = [](int own) { return __reduce_add_sync(kAllLanes, own); };
    low = __reduce_min_sync(kAllLanes, low), high = __reduce_max_sync(kAllLanes, high);
    Cut cut = highest_cut(score, {low, n}, high, k, slack, sum);
    if (cut.n > k + slack) {
      const auto position = [&](int e) { return entries[min(lane + 32 * e, n - 1)].position; };
      cut.last = last_of_equals(score, cut, k, position, sum);
    }
    compact(score, cut, n, lane);
    if (lane == 0) *threshold = unordered(cut.key);
    __syncwarp();
  }

  // By a whole warp: in order of score or of position; bitonic, filled up to a power of two.
  __device__ void sort(int n, int lane, bool best_first) const {
    int size = 1;
    while (size < n) size *= 2;
    for (int i = n + lane; i < size; i += 32) entries[i] = {-INFINITY, INT_MAX};
    __syncwarp();
    for (int width = 2; width <= size; width *= 2)
      for (int step = width / 2; step > 0; step /= 2) {
        for (int pair = lane; pair < size / 2; pair += 32) {
          const int at = pair / step * 2 * step + pair % step;
          const Candidate a = entries[at], b = entries[at + step];
          const bool is_later = best_first && a.z != b.z ? b.z > a.z : b.position < a.position;
          if (is_later == ((at & width) == 0)) entries[at] = b, entries[at + step] = a;
        }
        __syncwarp();
      }
  }

 private:
  template <int kPer>
  __device__ void compact(const uint32_t (&score)[kPer], const Cut& cut, int n, int lane) const {
    int kept = 0;
#pragma unroll
    for (int e = 0; e < kPer; ++e) {
      const int position = entries[min(lane + 32 * e, n - 1)].position;
      const bool stays = (score[e] != 0) & cut.keeps(score[e], position);
      const unsigned mask = __ballot_sync(kAllLanes, stays);
      __syncwarp();
      if (stays)
        entries[kept + __popc(mask & ((1u << lane) - 1))] = {unordered(score[e]), position};
      kept += __popc(mask);
      __syncwarp();
    }
    if (lane == 0) *count = kept;
    __syncwarp();
  }
};

/// The places of up to 2^16 distinct positions in ascending order, by a whole warp: a bit for each
/// position, and how many lie before each word of them.
class PositionRanks {
 public:
  static constexpr int words_for(int n_positions) { return (n_positions + 31) / 32; }
  /// Of shared memory, for positions below n_positions.
  static constexpr int bytes_for(int n_positions) { return words_for(n_positions) * 6; }

  __device__ PositionRanks(void* memory, int n_positions)
      : n_words_(words_for(n_positions)),
        bits_(static_cast<uint32_t*>(memory)),
        before_(reinterpret_cast<uint16_t*>(bits_ + n_words_)) {}

  __device__ void take(const Candidate* entries, int n, int lane) const {
    for (int w = lane; w < n_words_; w += 32) bits_[w] = 0;
    __syncwarp();
    for (int i = lane; i < n; i += 32)
      atomicOr(bits_ + entries[i].position / 32, 1u << entries[i].position % 32);
    __syncwarp();
    const int own = (n_words_ / 32 | 1) + 2;  // odd: the lanes' words lie in different banks
    const int begin = min(lane * own, n_words_), end = min(begin + own, n_words_);
    int sum = 0;
    for (int w = begin; w < end; ++w) sum += __popc(bits_[w]);
    int before = sum;
    for (int step = 1; step < 32; step *= 2) {
      const int lower = __shfl_up_sync(kAllLanes, before, step);
      if (lane >= step) before += lower;
    }
    before -= sum;
    for (int w = begin; w < end; ++w) {
      before_[w] = static_cast<uint16_t>(before);
      before += __popc(bits_[w]);
    }
    __syncwarp();
  }

  __device__ int rank(int position) const {
    const uint32_t lower = bits_[position / 32] & ((1u << position % 32) - 1);
    return before_[position / 32] + __popc(lower);
  }

 private:
  int n_words_;
  uint32_t* bits_;
  uint16_t* before_;
};

}  // namespace dsrasq::cuda
