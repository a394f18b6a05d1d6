#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/index_scan.cpp"
#include "dsrasq/kernels/simd_targets.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "dsrasq/kernels/byte_products-inl.h"
#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/kernels/index_scan_state.h"
#include "dsrasq/kernels/vector_math-inl.h"

#ifndef DSRASQ_KERNELS_INDEX_SCAN_LANE_ORDERS
#define DSRASQ_KERNELS_INDEX_SCAN_LANE_ORDERS
namespace dsrasq::kernels {

// For each mask of 8 lanes, its set lanes in order, one a byte.
constexpr std::array<uint64_t, 256> lane_orders() {
  std::array<uint64_t, 256> orders{};
  for (uint32_t mask = 0; mask < 256; ++mask)
    for (uint64_t lane = 0, shift = 0; lane < 8; ++lane)
      if ((mask >> lane & 1) != 0) {
        orders[mask] |= lane << shift;
        shift += 8;
      }
  return orders;
}

}  // namespace dsrasq::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Ranks are integers in the order of the scores. This takes one back to its score.
static float score_of(int32_t rank) {
  return std::bit_cast<float>(rank ^ (rank >> 31 & std::numeric_limits<int32_t>::max()));
}

// Fills in the ranks. Returns the smallest and the largest.
static std::pair<int64_t, int64_t> rank_scores(ScanQuery& query) {
  const Int32Tag di;
  const FloatTag d;
  auto least = hn::Set(di, std::numeric_limits<int32_t>::max());
  auto most = hn::Set(di, std::numeric_limits<int32_t>::min());
  for (int i = query.n; i < query.n + kLanes; ++i) query.z[i] = query.z[0];
  for (int i = 0; i < query.n; i += kLanes) {
    const auto bits = hn::BitCast(di, hn::LoadU(d, query.z + i));
    const auto flip =
        hn::And(hn::ShiftRight<31>(bits), hn::Set(di, std::numeric_limits<int32_t>::max()));
    const auto rank = hn::Xor(bits, flip);
    hn::StoreU(rank, di, query.rank + i);
    least = hn::Min(least, rank);
    most = hn::Max(most, rank);
  }
  for (int i = query.n; i < query.n + kLanes; ++i)
    query.rank[i] = std::numeric_limits<int32_t>::min();
  return {hn::GetLane(hn::MinOfLanes(di, least)), hn::GetLane(hn::MaxOfLanes(di, most))};
}

static int32_t count_above(const ScanQuery& query, int32_t rank) {
  const Int32Tag di;
  const auto limit = hn::Set(di, rank);
  auto n = hn::Zero(di);  // a mask's lanes are -1
#pragma GCC unroll 4
  for (int i = 0; i < query.n; i += kLanes)
    n = hn::Sub(n, hn::VecFromMask(di, hn::Gt(hn::LoadU(di, query.rank + i), limit)));
  return hn::GetLane(hn::SumOfLanes(di, n));
}

// Writes the lanes to keep to the front of a vector at `z` and one at `slot`; returns how many.
static HWY_INLINE int32_t store_kept(hn::Mask<FloatTag> keep, Floats z_lanes, Int32s slot_lanes,
                                     float* z, int32_t* slot) {
  const FloatTag d;
  const Int32Tag di;
#if HWY_TARGET == HWY_AVX2
  // Not Compress: that of Highway 1.0.3 copies its table to the stack at each call.
  static constexpr auto kOrders = lane_orders();
  const auto bits = static_cast<uint32_t>(_mm256_movemask_ps(keep.raw));
  const auto* order = reinterpret_cast<const __m128i*>(kOrders.data() + bits);
  const Int32s from{_mm256_cvtepu8_epi32(_mm_loadl_epi64(order))};
  hn::StoreU(Int32s{_mm256_permutevar8x32_epi32(slot_lanes.raw, from.raw)}, di, slot);
  hn::StoreU(Floats{_mm256_permutevar8x32_ps(z_lanes.raw, from.raw)}, d, z);
  return __builtin_popcount(bits);
#else
  // Not CompressStore, whose store takes some 140 cycles on AMD's Zen 4.
  hn::StoreU(hn::Compress(slot_lanes, hn::RebindMask(di, keep)), di, slot);
  hn::StoreU(hn::Compress(z_lanes, keep), d, z);
  return static_cast<int32_t>(hn::CountTrue(d, keep));
#endif
}

// Keeps the candidates of rank above `least` and the first `n_ties` of rank `least`, order kept.
static void keep_above(ScanQuery& query, int32_t least, int32_t n_ties) {
  const FloatTag d;
  const Int32Tag di;
  const auto limit = hn::Set(di, least);
  int32_t kept = 0;
  for (int i = 0; i < query.n; i += kLanes) {
    const auto rank = hn::LoadU(di, query.rank + i);
    const auto z = hn::LoadU(d, query.z + i);
    const auto slot = hn::LoadU(di, query.slot + i);
    auto keep = hn::Gt(rank, limit);
    if (n_ties > 0 && !hn::AllFalse(di, hn::Eq(rank, limit))) {
      for (int lane = 0; lane < kLanes && n_ties > 0; ++lane) {
        if (query.rank[i + lane] != least) continue;
        keep = hn::Or(keep, hn::Eq(hn::Iota(di, 0), hn::Set(di, lane)));
        --n_ties;
      }
    }
    // Never past what has been read: kept <= i.
    kept += store_kept(hn::RebindMask(d, keep), z, slot, query.z + kept, query.slot + kept);
  }
  query.n = kept;
  query.threshold = score_of(least);
}

// Bisection for a rank that k candidates are above, or else for the k-th largest: a dozen counts
// over a buffer in the first cache beat a partial sort, whose branches nobody can predict.
static HWY_NOINLINE void thin(ScanQuery& query) {
  if (query.n <= query.k) return;
  auto [low, high] = rank_scores(query);
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    const auto below = static_cast<int32_t>(middle - 1);
    const int32_t n = count_above(query, below);
    if (n == query.k) return keep_above(query, below, 0);
    if (n > query.k)
      low = middle;
    else
      high = middle - 1;
  }
  const auto kth = static_cast<int32_t>(low);
  keep_above(query, kth, query.k - count_above(query, kth));
}

// For a rare branch of the scan's inner loop: out of line, so that the loop keeps its registers.
static HWY_NOINLINE void add_candidates(ScanQuery& query, Floats z, int32_t first_slot) {
  const FloatTag d;
  const Int32Tag di;
  const auto passes = hn::Gt(z, hn::Set(d, query.threshold));
  query.n +=
      store_kept(passes, z, hn::Iota(di, first_slot), query.z + query.n, query.slot + query.n);
  if (query.n + kLanes > query.capacity) thin(query);
}

static HWY_INLINE void add_lane_mass(ScanQuery& query, int part, Floats z) {
  const FloatTag d;
  auto most = hn::Load(d, query.lane_max + part * kLanes);
  auto sum = hn::Load(d, query.lane_sum + part * kLanes);
  if (!hn::AllFalse(d, hn::Gt(z, most))) {
    const auto higher = hn::Max(most, z);
    sum = hn::Mul(sum, exp_of(hn::Sub(most, higher)));
    most = higher;
    hn::Store(most, d, query.lane_max + part * kLanes);
  }
  hn::Store(hn::Add(sum, exp_of(hn::Sub(z, most))), d, query.lane_sum + part * kLanes);
}

static LogMass take_mass(ScanQuery& query) {
  const FloatTag d;
  const float most = *std::max_element(query.lane_max, query.lane_max + kPageTokens);
  LogMass mass{most, 0};
  for (int i = 0; i < kPageTokens; i += kLanes) {
    const auto factor = exp_of(hn::Sub(hn::Load(d, query.lane_max + i), hn::Set(d, most)));
    hn::Store(hn::Mul(hn::Load(d, query.lane_sum + i), factor), d, query.lane_sum + i);
  }
  for (const float sum : query.lane_sum) mass.sum += sum;
  std::fill_n(query.lane_max, kPageTokens, kMinusInfinity);
  std::fill_n(query.lane_sum, kPageTokens, 0.0f);
  return mass;
}

static LogMass add_mass(LogMass a, LogMass b) {
  const FloatTag d;
  const float most = std::max(a.max, b.max);
  const float from_a = hn::GetLane(exp_of(hn::Set(d, a.max - most)));
  const float from_b = hn::GetLane(exp_of(hn::Set(d, b.max - most)));
  return {most, a.sum * from_a + b.sum * from_b};
}

namespace plain {

static HWY_INLINE Int32s load_keys(const int8_t* keys) {
  const Int32Tag di;
#if HWY_TARGET == HWY_SCALAR
  int32_t key;
  std::memcpy(&key, keys, sizeof(key));
  const auto bits = hn::Set(di, key);
#else
  const hn::Repartition<int8_t, Int32Tag> d8;
  const auto bits = hn::BitCast(di, hn::LoadU(d8, keys));
#endif
  return hn::Xor(bits, hn::Set(di, static_cast<int32_t>(0x80808080u)));
}

// dot + the sum of the four products of unsigned key bytes and signed query bytes.
static HWY_INLINE Int32s add_dots(Int32s dot, Int32s keys, int32_t query) {
  const Int32Tag di;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  return hn::Add(dot, sum_halves(byte_products(keys, hn::Set(di, query))));
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  const __m128i pairs = _mm_maddubs_epi16(keys.raw, _mm_set1_epi32(query));
  return hn::Add(dot, Int32s{_mm_madd_epi16(pairs, _mm_set1_epi16(1))});
#else
  const auto byte = hn::Set(di, 0xFF);
  const auto factor = [&](int b) HWY_ATTR {
    return hn::Set(di, static_cast<int8_t>(static_cast<uint32_t>(query) >> (8 * b)));
  };
  dot = hn::Add(dot, hn::Mul(hn::And(keys, byte), factor(0)));
  dot = hn::Add(dot, hn::Mul(hn::And(hn::ShiftRight<8>(keys), byte), factor(1)));
  dot = hn::Add(dot, hn::Mul(hn::And(hn::ShiftRight<16>(keys), byte), factor(2)));
  return hn::Add(dot, hn::Mul(hn::And(hn::ShiftRight<24>(keys), byte), factor(3)));
#endif
}

#if HWY_TARGET == HWY_AVX2
#define DSRASQ_SCAN_PAGES 1
#else
#define DSRASQ_SCAN_PAGES 0
#endif

#include "dsrasq/kernels/index_scan-inl.h"

#undef DSRASQ_SCAN_PAGES
}  // namespace plain

const ScanFunctions* scan_functions() {
  static const ScanFunctions functions{plain::collect, thin,         take_mass,
                                       add_mass,       plain::score, hwy::TargetName(HWY_TARGET)};
  return &functions;
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_TARGET == HWY_AVX3
// Highway 1.0.3 has no target with VNNI alone.
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512vnni")
namespace dsrasq::kernels::HWY_NAMESPACE::vnni {

static HWY_INLINE Int32s load_keys(const int8_t* keys) {
  return Int32s{_mm512_xor_si512(_mm512_loadu_si512(keys), _mm512_set1_epi8(-128))};
}

#define DSRASQ_SCAN_PAGES 0
static HWY_INLINE Int32s add_dots(Int32s dot, Int32s keys, int32_t query) {
  return Int32s{_mm512_dpbusd_epi32(dot.raw, keys.raw, _mm512_set1_epi32(query))};
}

#include "dsrasq/kernels/index_scan-inl.h"
#undef DSRASQ_SCAN_PAGES

const ScanFunctions* scan_functions() {
  static const ScanFunctions functions{collect, thin, take_mass, add_mass, score, "AVX3+VNNI"};
  return &functions;
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE::vnni
HWY_POP_ATTRIBUTES
#endif

#if HWY_ONCE
namespace dsrasq::kernels {

HWY_EXPORT(scan_functions);

namespace {
std::atomic<bool> vnni_is_allowed{true};
}

const ScanFunctions& index_scan_functions() {
  const ScanFunctions* chosen = HWY_DYNAMIC_DISPATCH(scan_functions)();
#if HWY_TARGETS & HWY_AVX3
  if (chosen == N_AVX3::scan_functions() && vnni_is_allowed && __builtin_cpu_supports("avx512vnni"))
    chosen = N_AVX3::vnni::scan_functions();
#endif
  return *chosen;
}

void allow_index_scan_vnni(bool allowed) { vnni_is_allowed = allowed; }

const char* index_scan_target() { return index_scan_functions().name; }

}  // namespace dsrasq::kernels
#endif
