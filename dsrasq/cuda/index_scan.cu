#include <algorithm>

#include "dsrasq/cuda/candidates.cuh"
#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/index_scan.h"
#include "dsrasq/cuda/log_mass.cuh"

namespace dsrasq::cuda {
namespace {

// A block takes 16 queries through the keys, 256 at a time: each of its 8 warps 32 of them, in four
// products of 16 queries by 8 keys for every head.
constexpr int kTile = 16, kWarps = 8, kStepKeys = 8, kSteps = 4;
constexpr int kWarpKeys = kStepKeys * kSteps;
constexpr int kChunk = kWarps * kWarpKeys;
static_assert(kRingStep == kChunk, "a chunk must not wrap around");
constexpr int kRoom = 2 * kChunk;  // candidates beyond k

// The tensor core's 16 x 8 x 32 product of int8, added to `sum` (PTX mma.m16n8k32). Lane l holds
// the rows l / 4 and l / 4 + 8 and the columns l % 4 * 2 and the next.
__device__ void multiply(int (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
      "{%0,%1,%2,%3};"
      : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ uint32_t word(const int8_t* from) { return *reinterpret_cast<const uint32_t*>(from); }

// A lane's share of the tile's queries: those of the rows lane / 4 and lane / 4 + 8.
template <int kHeads, int kParts>
struct Queries {
  uint32_t code[kHeads][kParts][4];
  float weight[kHeads][2];
  int begin[2], end[2];  // of what they see, counted from the scan's first key

  __device__ Queries(const IndexScan& p, int64_t tile, int64_t base, int lane) {
    constexpr int kDim = 32 * kParts;
    for (int r = 0; r < 2; ++r) {
      const int64_t i = tile * kTile + lane / 4 + 8 * r;
      const bool is_one = i < p.n;
      begin[r] = is_one ? static_cast<int>(p.rule.first(p.first + i) - base) : 0;
      end[r] = is_one ? static_cast<int>(p.rule.end(p.first + i) - base) : 0;
      for (int h = 0; h < kHeads; ++h) {
        const int64_t row = (is_one ? i : 0) * kHeads + h;
        weight[h][r] = p.weight[row];
        for (int part = 0; part < kParts; ++part) {
          const int8_t* from = p.query + row * kDim + part * 32 + lane % 4 * 4;
          code[h][part][r] = word(from);
          code[h][part][r + 2] = word(from + 16);
        }
      }
    }
  }
};

// z of the lane's two queries with two keys: [row][key]. Sums in the CPU's order, each operation
// rounded by itself.
template <int kHeads, int kParts>
__device__ void score(const Queries<kHeads, kParts>& q, const int8_t* key, float2 scale,
                      float (&z)[2][2]) {
  // What an int32 below 2^23 looks like as a float when it is added to these bits.
  constexpr int kFloatBits = 0x4b000000;
  constexpr float kFloatOffset = 8388608.0f;
  uint32_t keys[kParts][2];
  for (int part = 0; part < kParts; ++part) {
    keys[part][0] = word(key + part * 32);
    keys[part][1] = word(key + part * 32 + 16);
  }
  for (int h = 0; h < kHeads; ++h) {
    int dot[4] = {kFloatBits, kFloatBits, kFloatBits, kFloatBits};
    for (int part = 0; part < kParts; ++part) multiply(dot, q.code[h][part], keys[part]);
    for (int r = 0; r < 2; ++r)
      for (int c = 0; c < 2; ++c) {
        const float positive = __int_as_float(max(dot[2 * r + c], kFloatBits)) - kFloatOffset;
        const float term = __fmul_rn(q.weight[h][r], positive);
        z[r][c] = h == 0 ? term : __fadd_rn(z[r][c], term);
      }
  }
  for (int r = 0; r < 2; ++r) {
    z[r][0] = __fadd_rn(__fmul_rn(scale.x, z[r][0]), 0.0f);
    z[r][1] = __fadd_rn(__fmul_rn(scale.y, z[r][1]), 0.0f);
  }
}

struct Shared {
  int count[kTile];
  float threshold[kTile];
  LogMass mass[kWarps][kTile];
};

extern __shared__ unsigned char shared_bytes[];

__device__ Shared& shared() { return *reinterpret_cast<Shared*>(shared_bytes); }

__device__ Candidates candidates_of(int query, int room) {
  auto* z = reinterpret_cast<float*>(shared_bytes + sizeof(Shared));
  auto* position = reinterpret_cast<int*>(z + kTile * room);
  return {z + query * room, position + query * room, shared().count + query,
          shared().threshold + query};
}

// Puts in order and writes what is left of a query's candidates.
__device__ void write_selection(const IndexScan& p, int64_t i, const Candidates& best,
                                int64_t base_row, int lane) {
  best.keep_best(p.k, lane);
  const int n = *best.count;
  best.sort(n, lane, p.best_first);
  for (int s = lane; s < p.k; s += 32) {
    int64_t row = s < n ? base_row + best.position[s] : -1;
    if (row >= p.capacity) row -= p.capacity;
    p.selected[i * p.k + s] = static_cast<int32_t>(row);
    if (p.scores != nullptr) p.scores[i * p.k + s] = s < n ? best.z[s] : -INFINITY;
  }
  if (lane == 0) p.n_selected[i] = n;
}

// Adds up what the block's lanes saw of each query.
__device__ void write_mass(const IndexScan& p, int64_t tile, LogMass (&mass)[2]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int r = 0; r < 2; ++r) {
    mass[r].join_lanes(1), mass[r].join_lanes(2);
    if (lane % 4 == 0) shared().mass[warp][lane / 4 + 8 * r] = mass[r];
  }
  __syncthreads();
  if (threadIdx.x >= kTile || tile * kTile + threadIdx.x >= p.n) return;
  LogMass all;
  for (int w = 0; w < kWarps; ++w) all.join(shared().mass[w][threadIdx.x]);
  p.log_mass[tile * kTile + threadIdx.x] = all.value();
}

template <int kHeads, int kParts, bool kWantsMass>
__global__ void __launch_bounds__(kWarps * 32) select_kernel(IndexScan p) {
  constexpr int kDim = 32 * kParts;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, room = p.k + kRoom;
  const int64_t tile = blockIdx.x;
  const int64_t last = min(p.first + tile * kTile + kTile, p.first + p.n) - 1;
  const int64_t base = p.rule.first(p.first + tile * kTile) / kChunk * kChunk;
  const int64_t base_row = base % p.capacity;
  const int n_keys = static_cast<int>(max(p.rule.end(last) - base, int64_t{0}));
  if (threadIdx.x < kTile) {
    shared().count[threadIdx.x] = 0;
    shared().threshold[threadIdx.x] = -INFINITY;
  }
  __syncthreads();
  const Queries<kHeads, kParts> q(p, tile, base, lane);
  const Candidates own[2] = {candidates_of(lane / 4, room), candidates_of(lane / 4 + 8, room)};
  LogMass mass[2];
  for (int chunk = 0; chunk < n_keys; chunk += kChunk) {
    int64_t row = base_row + chunk;
    if (row >= p.capacity) row -= p.capacity;
    const float threshold[2] = {*own[0].threshold, *own[1].threshold};
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const int first = warp * kWarpKeys + step * kStepKeys;
      const float2 scale =
          *reinterpret_cast<const float2*>(p.key_scale + row + first + lane % 4 * 2);
      float z[2][2];
      score(q, p.key + (row + first + lane / 4) * kDim + lane % 4 * 4, scale, z);
      for (int r = 0; r < 2; ++r)
        for (int c = 0; c < 2; ++c) {
          const int at = chunk + first + lane % 4 * 2 + c;
          const bool is_seen = at >= q.begin[r] && at < q.end[r];
          if (kWantsMass && is_seen) mass[r].add(z[r][c]);
          if (is_seen && z[r][c] > threshold[r]) own[r].add(z[r][c], at);
        }
    }
    __syncthreads();
    const bool is_full = threadIdx.x < kTile && shared().count[threadIdx.x] > room - kChunk;
    if (__syncthreads_or(is_full)) {
      for (int query = warp; query < kTile; query += kWarps)
        candidates_of(query, room).keep_best(p.k, lane);
      __syncthreads();
    }
  }
  for (int query = warp; query < kTile; query += kWarps)
    if (tile * kTile + query < p.n)
      write_selection(p, tile * kTile + query, candidates_of(query, room), base_row, lane);
  if constexpr (kWantsMass) write_mass(p, tile, mass);
}

template <int kHeads, int kParts, bool kWantsMass>
void launch(const IndexScan& p, Stream stream) {
  const int bytes =
      static_cast<int>(sizeof(Shared)) + kTile * (p.k + kRoom) * 2 * static_cast<int>(sizeof(int));
  check(cudaFuncSetAttribute(select_kernel<kHeads, kParts, kWantsMass>,
                             cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "select_top_k");
  const auto blocks = static_cast<unsigned>((p.n + kTile - 1) / kTile);
  select_kernel<kHeads, kParts, kWantsMass><<<blocks, kWarps * 32, bytes, stream>>>(p);
  check_launch("select_top_k");
}

template <int kHeads, int kParts>
void launch(const IndexScan& p, Stream stream) {
  if (p.log_mass != nullptr)
    launch<kHeads, kParts, true>(p, stream);
  else
    launch<kHeads, kParts, false>(p, stream);
}

}  // namespace

void select_top_k(const IndexScan& p, Stream stream) {
  DSRASQ_CHECK(p.k >= 1 && p.k <= kMaxSelected && (p.dim == 32 || p.dim == 64) &&
                   (p.padded_heads == 4 || p.padded_heads == 8) && p.capacity % kRingStep == 0,
               kInternal, "cuda", "select_top_k: k ", p.k, ", ", p.padded_heads, " heads of ",
               p.dim, ", ", p.capacity, " rows");
  if (p.padded_heads == 4)
    p.dim == 32 ? launch<4, 1>(p, stream) : launch<4, 2>(p, stream);
  else
    p.dim == 32 ? launch<8, 1>(p, stream) : launch<8, 2>(p, stream);
}

}  // namespace dsrasq::cuda
