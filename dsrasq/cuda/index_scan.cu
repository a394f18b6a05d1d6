#include <algorithm>

#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/index_split.cuh"
#include "dsrasq/cuda/ptx.cuh"

namespace dsrasq::cuda {
namespace {

// A block takes 16 queries through the keys, 256 at a time: each of its 8 warps 32 of them, in four
// products of 16 queries by 8 keys for every head.
constexpr int kTile = kScanTile, kWarps = 8, kStepKeys = 8, kSteps = 4;
constexpr int kWarpKeys = kStepKeys * kSteps;
constexpr int kChunk = kWarps * kWarpKeys;
static_assert(kRingStep == kChunk, "a chunk must not wrap around");
constexpr int kRoom = 2 * kChunk;  // candidates beyond k
constexpr int kSlack = 32;         // beyond k that may stay where a bound is enough
constexpr int32_t kMostSelected = 1024, kFewSelected = 256;
constexpr int kMostParts = 16;

// What an int32 below 2^23 looks like as a float when it is added to these bits.
constexpr int kFloatBits = 0x4b000000;
constexpr float kFloatOffset = 8388608.0f;

// A lane's share of the tile's queries: those of the rows g and g + 8 (ptx.cuh). The order of a
// product's values is free: lane c takes 8 neighbours.
template <int kHeads, int kParts>
struct Queries {
  uint32_t code[kHeads][kParts][4];
  float weight[kHeads][2], offset[kHeads][2];

  __device__ Queries(const IndexScan& p, int64_t tile, int lane) {
    constexpr int kDim = 32 * kParts;
    for (int r = 0; r < 2; ++r) {
      const int64_t i = tile * kTile + lane / 4 + 8 * r;
      for (int h = 0; h < kHeads; ++h) {
        const int64_t row = (i < p.n ? i : 0) * kHeads + h;
        weight[h][r] = p.weight[row];
        offset[h][r] = -weight[h][r] * kFloatOffset;  // exact
        for (int part = 0; part < kParts; ++part) {
          const uint2 codes =
              *reinterpret_cast<const uint2*>(p.query + row * kDim + part * 32 + lane % 4 * 8);
          code[h][part][r] = codes.x;
          code[h][part][r + 2] = codes.y;
        }
      }
    }
  }
};

// A lane's share of a warp's keys of a chunk: the codes of key g of each step, the scales of the
// keys 2c and 2c + 1.
template <int kParts>
struct Keys {
  uint2 code[kSteps][kParts];
  float2 scale[kSteps];

  __device__ Keys(const IndexScan& p, int64_t row, int lane) {
    const int8_t* codes = p.key + (row + lane / 4) * (32 * kParts) + lane % 4 * 8;
    const float* scales = p.key_scale + row + lane % 4 * 2;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int part = 0; part < kParts; ++part)
        code[step][part] =
            *reinterpret_cast<const uint2*>(codes + step * kStepKeys * 32 * kParts + part * 32);
      scale[step] = *reinterpret_cast<const float2*>(scales + step * kStepKeys);
    }
  }
};

// z of the lane's two queries with its two keys of a step. Sums in the CPU's order, each operation
// rounded by itself.
template <int kHeads, int kParts>
__device__ void score(const Queries<kHeads, kParts>& q, const uint2 (&key)[kParts], float2 scale,
                      float* low, float* high) {
  constexpr int kStart[4] = {kFloatBits, kFloatBits, kFloatBits, kFloatBits};
  float z[4];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    int dot[4];
    multiply(dot, kStart, q.code[h][0], key[0]);
#pragma unroll
    for (int part = 1; part < kParts; ++part) multiply(dot, dot, q.code[h][part], key[part]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      // 2^23 + the product where that is above 0; times the weight less 2^23 weights, rounded once.
      const float biased = __int_as_float(max(dot[i], kFloatBits));
      const float term = __fmaf_rn(q.weight[h][i / 2], biased, q.offset[h][i / 2]);
      z[i] = h == 0 ? term : __fadd_rn(z[i], term);
    }
  }
  low[0] = __fmul_rn(scale.x, z[0]), low[1] = __fmul_rn(scale.y, z[1]);
  high[0] = __fmul_rn(scale.x, z[2]), high[1] = __fmul_rn(scale.y, z[3]);
}

struct Shared {
  int count[kTile];
  float threshold[kTile];
  int begin[kTile], end[kTile];  // of what the queries see, counted from the scan's first key
  LogMass mass[kWarps][kTile];
};

extern __shared__ unsigned char shared_bytes[];

__device__ Shared& shared() { return *reinterpret_cast<Shared*>(shared_bytes); }

__device__ Candidates candidates_of(int query, int room) {
  auto* entries = reinterpret_cast<Candidate*>(shared_bytes + sizeof(Shared));
  return {entries + query * room, shared().count + query, shared().threshold + query};
}

// A call: its scores take the registers that a block's queries and keys have.
__device__ __noinline__ void keep_best(const Candidates candidates, int k, int slack, int lane) {
  if (k <= kFewSelected)
    candidates.keep_best<(kFewSelected + kRoom) / 32>(k, slack, lane);
  else
    candidates.keep_best<(kMostSelected + kRoom) / 32>(k, slack, lane);
}

// Adds those of a lane's scores of a query that are above the threshold, of which the first is of
// the key `at`. Returns how many candidates there are, as far as the lane knows.
__device__ int add_above(const Candidates& own, float threshold, const float (&z)[2 * kSteps],
                         int at) {
  int n = 0;
#pragma unroll
  for (int i = 0; i < 2 * kSteps; ++i) n += z[i] > threshold ? 1 : 0;
  if (n == 0) return 0;
  const int place = atomicAdd(own.count, n);
  Candidate* to = own.entries + place;
#pragma unroll
  for (int i = 0; i < 2 * kSteps; ++i)
    if (z[i] > threshold) *to++ = {z[i] + 0.0f, at + i / 2 * kStepKeys + i % 2};  // no -0
  return place + n;
}

__device__ void start_queries(const IndexScan& p, int64_t tile) {
  const int query = threadIdx.x;
  if (query >= kTile) return;
  const int64_t position = p.first + tile * kTile + query, base = first_key(p, tile);
  const bool is_one = tile * kTile + query < p.n;
  shared().count[query] = 0;
  shared().threshold[query] = is_one ? -INFINITY : INFINITY;
  shared().begin[query] = is_one ? static_cast<int>(p.rule.first(position) - base) : 0;
  shared().end[query] = is_one ? static_cast<int>(p.rule.end(position) - base) : 0;
}

// Hides what the query does not see.
__device__ void hide(float (&z)[2 * kSteps], int at, int query) {
  const int begin = shared().begin[query], end = shared().end[query];
#pragma unroll
  for (int i = 0; i < 2 * kSteps; ++i) {
    const int key = at + i / 2 * kStepKeys + i % 2;
    if (key < begin || key >= end) z[i] = NAN;
  }
}

// Puts in order and writes what is left of a query's candidates, whose positions are below `end`.
__device__ void write_selection(const IndexScan& p, const ScanParts& parts, int part, int64_t i,
                                const Candidates& best, int64_t base_row, int end, int lane) {
  keep_best(best, p.k, 0, lane);
  const int n = *best.count;
  const PositionRanks ranks(best.entries + p.k, end);
  const bool has_ranks =
      !p.best_first && PositionRanks::bytes_for(end) <= kRoom * static_cast<int>(sizeof(Candidate));
  if (has_ranks)
    ranks.take(best.entries, n, lane);
  else
    best.sort(n, lane, p.best_first);
  const int64_t at = parts.n > 1 ? (i * parts.n + part) * p.k : i * p.k;
  for (int s = lane; s < p.k; s += 32) {
    const Candidate one = s < n ? best.entries[s] : Candidate{-INFINITY, -1};
    const int64_t to = at + (has_ranks && s < n ? ranks.rank(one.position) : s);
    if (parts.n > 1) {
      parts.best[to] = one;
      continue;
    }
    p.selected[to] = row_of(one.position, base_row, p.capacity);
    if (p.scores != nullptr) p.scores[to] = one.z;
  }
  if (lane == 0 && parts.n == 1) p.n_selected[i] = n;
}

// Adds up what the block's lanes saw of each query.
__device__ void write_mass(const IndexScan& p, const ScanParts& parts, int part, int64_t tile,
                           LogMass (&mass)[2]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int r = 0; r < 2; ++r) {
    mass[r].join_lanes(1), mass[r].join_lanes(2);
    if (lane % 4 == 0) shared().mass[warp][lane / 4 + 8 * r] = mass[r];
  }
  __syncthreads();
  const int64_t i = tile * kTile + threadIdx.x;
  if (threadIdx.x >= kTile || i >= p.n) return;
  LogMass all;
  for (int w = 0; w < kWarps; ++w) all.join(shared().mass[w][threadIdx.x]);
  if (parts.n > 1)
    parts.mass[i * parts.n + part] = all;
  else
    p.log_mass[i] = all.value();
}

// What a block scans: keys counted from `base`, of which those in [begin, end) are the block's.
struct Range {
  int64_t base_row;
  int begin, end;        // multiples of a chunk
  int all_see, all_end;  // what lies between is seen by all queries
};

__device__ Range range_of(const IndexScan& p, int64_t tile, int part, int n_parts) {
  const int64_t base = first_key(p, tile), first = p.first + tile * kTile;
  const int64_t last = min(first + kTile, p.first + p.n) - 1;
  const int n_keys = static_cast<int>(max(p.rule.end(last) - base, int64_t{0}));
  const int n_chunks = (n_keys + kChunk - 1) / kChunk;
  return {.base_row = base % p.capacity,
          .begin = n_chunks * part / n_parts * kChunk,
          .end = n_chunks * (part + 1) / n_parts * kChunk,
          .all_see = static_cast<int>(p.rule.first(last) - base),
          .all_end = static_cast<int>(max(p.rule.end(first) - base, int64_t{0}))};
}

template <int kHeads, int kParts, bool kWantsMass>
__global__ void __launch_bounds__(kWarps * 32, kHeads* kParts <= 8 ? 2 : 1)
    select_kernel(const __grid_constant__ IndexScan p, ScanParts parts) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, room = p.k + kRoom;
  const int64_t tile = blockIdx.x;
  const int part = blockIdx.y;
  const Range range = range_of(p, tile, part, parts.n);
  start_queries(p, tile);
  __syncthreads();
  const Queries<kHeads, kParts> q(p, tile, lane);
  const Candidates own[2] = {candidates_of(lane / 4, room), candidates_of(lane / 4 + 8, room)};
  LogMass mass[2];
  for (int chunk = range.begin; chunk < range.end; chunk += kChunk) {
    int64_t row = range.base_row + chunk;
    if (row >= p.capacity) row -= p.capacity;
    const Keys<kParts> keys(p, row + warp * kWarpKeys, lane);
    float z[2][2 * kSteps];
#pragma unroll
    for (int step = 0; step < kSteps; ++step)
      score(q, keys.code[step], keys.scale[step], z[0] + 2 * step, z[1] + 2 * step);
    const int at = chunk + warp * kWarpKeys + lane % 4 * 2;
    if (chunk < range.all_see || chunk + kChunk > range.all_end)
      for (int r = 0; r < 2; ++r) hide(z[r], at, lane / 4 + 8 * r);
    int n_most = 0;
    for (int r = 0; r < 2; ++r) {
      if constexpr (kWantsMass) mass[r].add(z[r]);
      n_most = max(n_most, add_above(own[r], *own[r].threshold, z[r], at));
    }
    if (__syncthreads_or(n_most > room - kChunk)) {
      for (int query = warp; query < kTile; query += kWarps)
        keep_best(candidates_of(query, room), p.k, kSlack, lane);
      __syncthreads();
    }
  }
  for (int query = warp; query < kTile; query += kWarps)
    if (tile * kTile + query < p.n)
      write_selection(p, parts, part, tile * kTile + query, candidates_of(query, room),
                      range.base_row, range.end, lane);
  if constexpr (kWantsMass) write_mass(p, parts, part, tile, mass);
}

// Of shared memory for 16 queries.
constexpr int kCandidateBytes = kTile * static_cast<int>(sizeof(Candidate));

unsigned n_tiles(const IndexScan& p) { return static_cast<unsigned>((p.n + kTile - 1) / kTile); }

template <int kHeads, int kParts, bool kWantsMass>
void launch(const IndexScan& p, Stream stream) {
  const auto kernel = select_kernel<kHeads, kParts, kWantsMass>;
  const int bytes = static_cast<int>(sizeof(Shared)) + (p.k + kRoom) * kCandidateBytes;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
        "select_top_k");
  const ScanParts parts = parts_of(p);
  const dim3 blocks(n_tiles(p), static_cast<unsigned>(parts.n));
  kernel<<<blocks, kWarps * 32, bytes, stream>>>(p, parts);
  check_launch("select_top_k");
  if (parts.n > 1) merge_parts(p, parts, stream);
}

template <int kHeads, int kParts>
void launch(const IndexScan& p, Stream stream) {
  if (p.log_mass != nullptr)
    launch<kHeads, kParts, true>(p, stream);
  else
    launch<kHeads, kParts, false>(p, stream);
}

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "select_top_k");
  check(cudaDeviceGetAttribute(&value, which, device), "select_top_k");
  return value;
}

// Parts with two chunks of keys each at least, while there are less than two blocks for each of the
// GPU's processors. A selection by score is made in one part.
int n_parts(const IndexScan& p) {
  if (p.best_first || p.n == 0) return 1;
  const int64_t last = p.first + p.n - 1;
  const int64_t n_keys = std::max<int64_t>(0, p.rule.end(last) - p.rule.first(last));
  const int64_t n_blocks = 2 * int64_t{attribute(cudaDevAttrMultiProcessorCount)} / n_tiles(p);
  const int64_t most = std::min<int64_t>(kMostParts, kMostScanEntries / p.k);
  return static_cast<int>(std::clamp<int64_t>(std::min(n_keys / (2 * kChunk), n_blocks), 1, most));
}

}  // namespace

int32_t most_selected() {
  const int bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  const int room = (bytes - static_cast<int>(sizeof(Shared))) / kCandidateBytes - kRoom;
  return std::clamp(room, 0, kMostSelected);
}

int64_t scan_scratch_bytes(const IndexScan& p) {
  const int64_t n = n_parts(p);
  return n == 1 ? 0
                : p.n * n *
                      (p.k * static_cast<int64_t>(sizeof(Candidate)) +
                       static_cast<int64_t>(sizeof(LogMass)));
}

ScanParts parts_of(const IndexScan& p) {
  if (p.scratch == nullptr) return {1, nullptr, nullptr};
  const int n = n_parts(p);
  auto* best = static_cast<Candidate*>(p.scratch);
  return {n, best, reinterpret_cast<LogMass*>(best + p.n * n * p.k)};
}

void select_top_k(const IndexScan& p, Stream stream) {
  DSRASQ_CHECK(p.k >= 1 && p.k <= kMostSelected && (p.dim == 32 || p.dim == 64) &&
                   (p.padded_heads == 4 || p.padded_heads == 8) && p.capacity % kRingStep == 0,
               kInternal, "cuda", "select_top_k: k ", p.k, ", ", p.padded_heads, " heads of ",
               p.dim, ", ", p.capacity, " rows");
  if (p.padded_heads == 4)
    p.dim == 32 ? launch<4, 1>(p, stream) : launch<4, 2>(p, stream);
  else
    p.dim == 32 ? launch<8, 1>(p, stream) : launch<8, 2>(p, stream);
}

}  // namespace dsrasq::cuda
