#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/slot_cache.cpp"
#include "dsrasq/kernels/simd_targets.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/attention_rows-inl.h"
#include "dsrasq/kernels/scratch.h"
#include "dsrasq/kernels/slot_cache.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// scores [m, 16] = x u of `n_slots` <= 16 slots from `slot` on. `columns` holds 16 * d floats.
static void score_tokens(const SlotFoldParams& p, const float* x, const float* u, int64_t slot,
                         int64_t n_slots, float* columns, float* scores) {
  if (p.places != nullptr) {
    for (int64_t t = 0; t < p.m; ++t)
      std::copy_n(u + p.places[t] * p.r + slot, n_slots, scores + t * 16);
    return;
  }
  for (int64_t c = 0; c < p.d; ++c) {
    std::copy_n(u + c * p.r + slot, n_slots, columns + c * 16);
    std::fill_n(columns + c * 16 + n_slots, 16 - n_slots, 0.0f);
  }
  multiply_rows({.a = x,
                 .b = columns,
                 .out = scores,
                 .depth = p.d,
                 .lda = p.d,
                 .ldb = 16,
                 .b_block = 0,
                 .ldo = 16,
                 .accumulate = false},
                p.m, 1);
}

// sum [n_slots, d] += softmax over the tokens of their scores, times x, for `n_slots` <= 16 slots
// from `slot` on. `memory` holds 16 * (d + m + padded m) floats.
static void add_summary(const SlotFoldParams& p, const float* x, const float* u, int64_t slot,
                        int64_t n_slots, float* memory, float* sum) {
  const int64_t padded = (p.m + 15) / 16 * 16;
  float* scores = memory + p.d * 16;   // [m, 16]
  float* weights = scores + p.m * 16;  // [16, padded]
  score_tokens(p, x, u, slot, n_slots, memory, scores);
  for (int64_t s = 0; s < n_slots; ++s) {
    float* row = weights + s * padded;
    for (int64_t t = 0; t < p.m; ++t) row[t] = scores[t * 16 + s];
    const float most = finish_scores(row, padded, 0, p.m, 0);
    auto total = hn::Zero(FloatTag());
    exp_scores(row, padded, most, total);
    scale_values(row, padded, 1.0f / ordered_sum(total));
  }
  multiply_rows({.a = weights,
                 .b = x,
                 .out = sum,
                 .depth = p.m,
                 .lda = padded,
                 .ldb = p.d,
                 .b_block = 16,
                 .ldo = p.d,
                 .accumulate = true},
                n_slots, p.d / 16);
}

/// Folds into slots [slot, slot + n_slots), at most 16.
void fold_some_slots(const SlotFoldParams& p, int64_t slot, int64_t n_slots) {
  const FloatTag d;
  thread_local Scratch scratch;
  auto* sum = scratch.get<float>(16 * (2 * p.d + 2 * p.m + 16));
  std::fill_n(sum, n_slots * p.d, 0.0f);
  add_summary(p, p.k, p.u_k, slot, n_slots, sum + 16 * p.d, sum);
  add_summary(p, p.v, p.u_v, slot, n_slots, sum + 16 * p.d, sum);
  for (int64_t s = 0; s < n_slots; ++s) {
    float* value = p.slots + (slot + s) * p.d;
    const float beta = p.beta == nullptr ? 0.0f : p.beta[slot + s];
    const auto kept = hn::Set(d, beta), added = hn::Set(d, 1.0f - beta);
    for (int64_t c = 0; c < p.d; c += kLanes) {
      const auto fresh = hn::Mul(added, hn::LoadU(d, sum + s * p.d + c));
      hn::StoreU(hn::Add(hn::Mul(kept, hn::LoadU(d, value + c)), fresh), d, value + c);
    }
  }
}

/// Reads the slots of one KV head for queries [first, first + n_queries).
void read_some_slots(const SlotReadParams& p, int64_t first, int64_t n_queries, int64_t kv_head) {
  const FloatTag d;
  const int64_t D = p.D, n_rep = p.H / p.n_kv_heads, rows = n_queries * n_rep;
  const int64_t n_tiles = (p.r + 15) / 16, columns = n_tiles * 16;
  const float* gate = p.gate + kv_head * n_rep;
  if (std::all_of(gate, gate + n_rep, [](float g) { return g == 0; })) return;
  thread_local Scratch scratch;
  auto* q = scratch.get<float>(rows * (2 * D + columns));
  float* sum = q + rows * D;
  float* scores = sum + rows * D;
  pack_query_rows(p.q, first, n_queries, p.H, kv_head, n_rep, D, p.scale, q);
  multiply_rows({.a = q,
                 .b = p.packed_slot_k + kv_head * n_tiles * D * 16,
                 .out = scores,
                 .depth = D,
                 .lda = D,
                 .ldb = 16,
                 .b_block = D * 16,
                 .ldo = columns,
                 .accumulate = false},
                rows, n_tiles);
  for (int64_t row = 0; row < rows; ++row) {
    float* s = scores + row * columns;
    const float most = finish_scores(s, columns, 0, p.n_filled, 0);
    auto total = hn::Zero(d);
    exp_scores(s, columns, most, total);
    scale_values(s, columns, p.share * std::tanh(gate[row % n_rep]) / ordered_sum(total));
  }
  multiply_rows({.a = scores,
                 .b = p.slot_v + kv_head * p.r * D,
                 .out = sum,
                 .depth = p.n_filled,
                 .lda = columns,
                 .ldb = D,
                 .b_block = 16,
                 .ldo = D,
                 .accumulate = false},
                rows, D / 16);
  for (int64_t row = 0; row < rows; ++row) {
    if (gate[row % n_rep] == 0) continue;
    float* out = p.out + ((first + row / n_rep) * p.H + kv_head * n_rep + row % n_rep) * D;
    for (int64_t c = 0; c < D; c += kLanes)
      hn::StoreU(hn::Add(hn::LoadU(d, out + c), hn::LoadU(d, sum + row * D + c)), d, out + c);
  }
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {

HWY_EXPORT(fold_some_slots);
HWY_EXPORT(read_some_slots);

void fold_slots(const SlotFoldParams& params) {
  parallel_for(params.count, 16, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(fold_some_slots)(params, params.first + begin, end - begin);
  });
}

int64_t packed_slot_floats(int32_t n_kv_heads, int64_t r, int64_t D) {
  return n_kv_heads * ((r + 15) / 16) * 16 * D;
}

void pack_slot_keys(const float* slot_k, int32_t n_kv_heads, int64_t r, int64_t D, float* packed) {
  const int64_t n_tiles = (r + 15) / 16;
  std::fill_n(packed, packed_slot_floats(n_kv_heads, r, D), 0.0f);
  for (int64_t row = 0; row < n_kv_heads * r; ++row) {
    const int64_t slot = row % r, tile = row / r * n_tiles + slot / 16;
    for (int64_t c = 0; c < D; ++c) packed[(tile * D + c) * 16 + slot % 16] = slot_k[row * D + c];
  }
}

void read_slots(const SlotReadParams& params) {
  constexpr int64_t kTileRows = 24;  // rows that share a pass over the slots
  if (params.r == 0) return;
  const int64_t n_rep = params.H / params.n_kv_heads;
  const int64_t tile_queries = std::max<int64_t>(1, kTileRows / n_rep);
  const int64_t n_tiles = (params.n + tile_queries - 1) / tile_queries;
  parallel_for(n_tiles * params.n_kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item / params.n_kv_heads * tile_queries;
      HWY_DYNAMIC_DISPATCH(read_some_slots)
      (params, first, std::min(tile_queries, params.n - first), item % params.n_kv_heads);
    }
  });
}

}  // namespace dsrasq::kernels
#endif
