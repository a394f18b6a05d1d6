#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/sparse_attention.cpp"
#include "dsrasq/kernels/simd_targets.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/scratch.h"
#include "dsrasq/kernels/sparse_attention.h"
#include "dsrasq/kernels/sparse_attention_state.h"
#include "dsrasq/kernels/sparse_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {

void sparse_tile(const SparseTile& tile) { SparseTileWork(tile).run(); }

void turn_keys(const KeyTurns& turns, int64_t begin, int64_t end) {
  const SparseMemory& m = turns.params->memory;
  const RopeTable& rope = turns.params->rope;
  const int64_t D = m.ring.head_dim;
  for (int64_t g = 0; g < m.ring.n_kv_heads; ++g)
    for (int64_t row = begin; row < end; ++row) {
      if (turns.slots[row] < 0) continue;
      const int64_t at = g * m.n_slots + turns.slots[row];
      load_turned_row(m.pool_k + at * D, m.pool_k_scale[at], rope.cos, rope.sin,
                      turns.base - (turns.first + row), D,
                      turns.rows + (g * turns.n_rows + row) * D);
    }
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {

HWY_EXPORT(sparse_tile);
HWY_EXPORT(turn_keys);

namespace {

constexpr int64_t kBaseAlign = 512;   // queries that share the base of their near keys
constexpr int64_t kTurnQueries = 16;  // from so many on, near keys are turned once for all of them

void add_masses(const SparseAttentionParams& p, const std::vector<float>& of_heads) {
  const int64_t n_kv_heads = p.memory.ring.n_kv_heads;
  for (int64_t i = 0; i < p.n; ++i) {
    float total = 0;
    for (int64_t s = 0; s < p.k; ++s) {
      float mass = 0;
      for (int64_t g = 0; g < n_kv_heads; ++g) mass += of_heads[(g * p.n + i) * p.k + s];
      if (p.retrieved_mass != nullptr) p.retrieved_mass[i * p.k + s] = mass;
      total += mass;
    }
    if (p.pool_mass != nullptr) p.pool_mass[i] = total;
  }
}

/// Multiples of a power of two of at most kBaseAlign, so that no query is further from its base
/// than the angle table goes.
int64_t base_of(const SparseAttentionParams& p, int64_t position) {
  int64_t align = kBaseAlign;
  while (align > p.rope.d_max + 1) align /= 2;
  return position / align * align;
}

/// The call's part that has one base.
class SparsePart {
 public:
  SparsePart(const SparseAttentionParams& params, int64_t first, int64_t n, int64_t base)
      : p_(params), first_(first), n_(n), base_(base) {}

  void run(float* masses) {
    if (n_ >= kTurnQueries && p_.n_selected != nullptr) turn_keys();
    const int64_t n_kv_heads = p_.memory.ring.n_kv_heads;
    const int64_t tile_queries = std::max<int64_t>(1, kTileRows / (p_.H / n_kv_heads));
    const int64_t n_tiles = (n_ + tile_queries - 1) / tile_queries;
    // One KV head after the other: its share of the pool may fit a cache that all do not.
    parallel_for(n_tiles * n_kv_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t kv_head = item / n_tiles, first = item % n_tiles * tile_queries;
        HWY_DYNAMIC_DISPATCH(sparse_tile)
        ({.params = &p_,
          .first = first_ + first,
          .n_queries = std::min(tile_queries, n_ - first),
          .kv_head = kv_head,
          .base = base_,
          .turned = turned_.rows == nullptr ? nullptr : &turned_,
          .mass = masses == nullptr ? nullptr : masses + kv_head * p_.n * p_.k});
      }
    });
  }

 private:
  void turn_keys() {
    thread_local Scratch row_scratch, index_scratch;
    const int64_t D = p_.memory.ring.head_dim, n_kv_heads = p_.memory.ring.n_kv_heads;
    // Nearer than d_max to some query of the part.
    const int64_t first = std::max<int64_t>(0, p_.pos0 + first_ - p_.rope.d_max + 1);
    const int64_t n_rows = p_.pos0 + first_ + n_ - first;
    auto* index = index_scratch.get<int32_t>(n_rows + p_.n * p_.k);
    auto* slots = std::exchange(index, index + n_rows);
    std::fill_n(slots, n_rows, -1);
    for (int64_t i = first_; i < first_ + n_; ++i)
      for (int64_t s = count_distant(p_, i); s < p_.n_selected[i]; ++s) {
        const int32_t slot = p_.selected[i * p_.k + s];
        const int64_t row =
            std::clamp<int64_t>(position_of(p_.memory, slot) - first, 0, n_rows - 1);
        index[i * p_.k + s] = static_cast<int32_t>(row);
        slots[row] = slot;
      }
    auto* rows = row_scratch.get<float>(n_kv_heads * n_rows * D);
    const KeyTurns turns{&p_, slots, n_rows, first, base_, rows};
    parallel_for(n_rows, 256, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(turn_keys)(turns, begin, end);
    });
    turned_ = {rows, index, n_rows};
  }

  const SparseAttentionParams& p_;
  int64_t first_, n_, base_;
  TurnedKeys turned_{};
};

}  // namespace

void fill_rope_table(const double* inv_freq, int32_t half, int32_t d_max, float* cos, float* sin) {
  for (int64_t distance = 0; distance <= d_max; ++distance) {
    for (int64_t c = 0; c < half; ++c) {
      const double angle = static_cast<double>(distance) * inv_freq[c];
      cos[distance * half + c] = static_cast<float>(std::cos(angle));
      sin[distance * half + c] = static_cast<float>(std::sin(angle));
    }
  }
}

void sparse_attention(const SparseAttentionParams& params) {
  const bool wants_mass = params.retrieved_mass != nullptr || params.pool_mass != nullptr;
  std::vector<float> masses;
  if (wants_mass)
    masses.resize(static_cast<size_t>(params.memory.ring.n_kv_heads * params.n * params.k));
  for (int64_t first = 0; first < params.n;) {
    const int64_t base = base_of(params, params.pos0 + first);
    int64_t end = first + 1;
    while (end < params.n && base_of(params, params.pos0 + end) == base) ++end;
    SparsePart(params, first, end - first, base).run(wants_mass ? masses.data() : nullptr);
    first = end;
  }
  if (wants_mass) add_masses(params, masses);
}

}  // namespace dsrasq::kernels
#endif
