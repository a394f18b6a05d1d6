#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/index_split.cuh"

namespace dsrasq::cuda {
namespace {

constexpr int kWarps = 8, kThreads = kWarps * 32;
constexpr int kPer = kMostScanEntries / kThreads;  // of a thread

// Sums over the block, one barrier each.
class BlockSum {
 public:
  __device__ int operator()(int own) const {
    int(&sums)[kWarps] = shared()[turn_];
    turn_ ^= 1;
    own = __reduce_add_sync(kAllLanes, own);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = own;
    __syncthreads();
    int all = 0;
    for (const int sum : sums) all += sum;
    return all;
  }

 private:
  __device__ static int (&shared())[2][kWarps] {
    __shared__ int sums[2][kWarps];
    return sums;
  }
  mutable int turn_ = 0;
};

// A warp's candidates lie side by side, so that their order is that of warps, then of e, of lanes.
__device__ int index_of(int e) {
  return (static_cast<int>(threadIdx.x) / 32 * kPer + e) * 32 + static_cast<int>(threadIdx.x) % 32;
}

// Where in the selection a warp's first candidate that stays goes.
__device__ int first_place(int n_stay) {
  __shared__ int n_stay_of[kWarps];
  if (threadIdx.x % 32 == 0) n_stay_of[threadIdx.x / 32] = n_stay;
  __syncthreads();
  int place = 0;
  for (int w = 0; w < static_cast<int>(threadIdx.x) / 32; ++w) place += n_stay_of[w];
  return place;
}

__device__ void write_stays(const IndexScan& p, const Candidate* best,
                            const uint32_t (&score)[kPer], const Cut& cut, int64_t query) {
  const int lane = threadIdx.x % 32;
  const int64_t base_row = first_key(p, query / kScanTile) % p.capacity;
  unsigned stays[kPer];
  int n_stay = 0;
#pragma unroll
  for (int e = 0; e < kPer; ++e) {
    const bool is_one = score[e] != 0 && cut.keeps(score[e], best[index_of(e)].position);
    stays[e] = __ballot_sync(kAllLanes, is_one);
    n_stay += __popc(stays[e]);
  }
  int place = first_place(n_stay);
#pragma unroll
  for (int e = 0; e < kPer; ++e) {
    if (stays[e] >> lane & 1) {
      const int64_t at = query * p.k + place + __popc(stays[e] & ((1u << lane) - 1));
      p.selected[at] = row_of(best[index_of(e)].position, base_row, p.capacity);
      if (p.scores != nullptr) p.scores[at] = unordered(score[e]);
    }
    place += __popc(stays[e]);
  }
  if (threadIdx.x == kThreads - 1) p.n_selected[query] = place;
  __syncthreads();
  for (int s = p.n_selected[query] + static_cast<int>(threadIdx.x); s < p.k; s += kThreads) {
    p.selected[query * p.k + s] = -1;
    if (p.scores != nullptr) p.scores[query * p.k + s] = -INFINITY;
  }
}

// A block for every query.
__global__ void __launch_bounds__(kThreads) merge_kernel(IndexScan p, ScanParts parts) {
  const int64_t query = blockIdx.x;
  const Candidate* best = parts.best + query * parts.n * p.k;
  const int n = parts.n * p.k;
  uint32_t score[kPer];
  int own = 0;
#pragma unroll
  for (int e = 0; e < kPer; ++e) {
    const Candidate entry = index_of(e) < n ? best[index_of(e)] : Candidate{0, -1};
    score[e] = entry.position >= 0 ? ordered(entry.z) : 0;
    own += score[e] != 0 ? 1 : 0;
  }
  const BlockSum sum;
  Cut cut = highest_cut(score, {1, sum(own)}, ~0u, p.k, 0, sum);
  if (cut.n > p.k) {
    const auto position = [&](int e) { return best[min(index_of(e), n - 1)].position; };
    cut.last = last_of_equals(score, cut, p.k, position, sum);
  }
  write_stays(p, best, score, cut, query);
  if (p.log_mass == nullptr || threadIdx.x != 0) return;
  LogMass all;
  for (int part = 0; part < parts.n; ++part) all.join(parts.mass[query * parts.n + part]);
  p.log_mass[query] = all.value();
}

}  // namespace

void merge_parts(const IndexScan& p, const ScanParts& parts, Stream stream) {
  merge_kernel<<<static_cast<unsigned>(p.n), kThreads, 0, stream>>>(p, parts);
  check_launch("merge_parts");
}

}  // namespace dsrasq::cuda
