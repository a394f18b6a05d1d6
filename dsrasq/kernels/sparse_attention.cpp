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
#include "dsrasq/kernels/attention_rows-inl.h"
#include "dsrasq/kernels/far_keys-inl.h"
#include "dsrasq/kernels/scratch.h"
#include "dsrasq/kernels/sparse_attention.h"

#ifndef DSRASQ_KERNELS_SPARSE_ATTENTION_ONCE_
#define DSRASQ_KERNELS_SPARSE_ATTENTION_ONCE_
namespace dsrasq::kernels {

/// A few neighbouring queries and one KV head: what one thread handles at a time.
struct SparseTile {
  const SparseAttentionParams* params;
  int64_t first, n_queries;  ///< query rows of the call
  int64_t kv_head;
  float* mass;  ///< [n, k] of this KV head, or null
};

}  // namespace dsrasq::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kRunTiles = 4;    // window tiles whose values stay in the first cache
constexpr int64_t kValueRows = 32;  // far values dequantised at a time
constexpr int64_t kPrefetchRows = 32;

/// The work on one tile. Scores have one row of columns a query head: the window's tiles, then the
/// sinks and selected tokens of the row's query.
class SparseTileWork {
 public:
  explicit SparseTileWork(const SparseTile& tile)
      : tile_(tile),
        p_(*tile.params),
        memory_(p_.memory),
        D_(memory_.ring.head_dim),
        n_rep_(p_.H / memory_.ring.n_kv_heads),
        rows_(tile.n_queries * n_rep_) {
    const int64_t first = p_.pos0 + tile.first, last = first + tile.n_queries - 1;
    window_begin_ = std::max(memory_.n_sink, first - p_.window + 1);
    window_end_ = std::max(window_begin_, last + 1);
    first_tile_ = window_begin_ / kTileTokens;
    n_tiles_ = (window_end_ - 1) / kTileTokens - first_tile_ + 1;
    if (window_end_ == window_begin_) n_tiles_ = 0;
    int64_t most_far = 0;
    for (int64_t t = 0; t < tile.n_queries; ++t) most_far = std::max(most_far, n_far(t));
    window_columns_ = n_tiles_ * kTileTokens;
    columns_ = window_columns_ + (most_far + 15) / 16 * 16;
  }

  void run() {
    thread_local Scratch scratch;
    auto* next = scratch.get<float>(rows_ * (4 * D_ + columns_ + 16) + (16 + kValueRows) * D_);
    const auto take = [&](int64_t n) { return std::exchange(next, next + n); };
    q_ = take(rows_ * D_);
    q_raw_ = take(rows_ * D_);
    q_far_ = take(rows_ * D_);
    sum_ = take(rows_ * D_);
    scores_ = take(rows_ * columns_);
    far_rows_ = take((16 + kValueRows) * D_);
    weight_ = take(rows_);
    pack_queries();
    score_window();
    for (int64_t t = 0; t < tile_.n_queries; ++t) score_far(t);
    for (int64_t row = 0; row < rows_; ++row) softmax(row);
    std::fill_n(sum_, rows_ * D_, 0.0f);
    add_window_values();
    for (int64_t t = 0; t < tile_.n_queries; ++t) add_far_values(t);
    for (int64_t t = 0; t < tile_.n_queries; ++t) write(t);
  }

 private:
  int64_t position(int64_t t) const { return p_.pos0 + tile_.first + t; }
  int64_t n_sinks(int64_t t) const { return std::min(memory_.n_sink, position(t) + 1); }
  int64_t n_selected(int64_t t) const {
    return p_.n_selected == nullptr ? 0 : p_.n_selected[tile_.first + t];
  }
  int64_t n_far(int64_t t) const { return n_sinks(t) + n_selected(t); }
  int64_t selected(int64_t t, int64_t item) const {
    return p_.selected[(tile_.first + t) * p_.k + item - n_sinks(t)];
  }

  void pack_queries() {
    pack_query_rows(p_.q, tile_.first, tile_.n_queries, p_.H, tile_.kv_head, n_rep_, D_, p_.scale,
                    q_);
    pack_query_rows(p_.q_raw, tile_.first, tile_.n_queries, p_.H, tile_.kv_head, n_rep_, D_,
                    p_.scale, q_raw_);
    std::copy_n(q_raw_, rows_ * D_, q_far_);
    const int64_t at = p_.rope.d_max * (D_ / 2);
    for (int64_t row = 0; row < rows_; ++row)
      rotate_row<1>(q_far_ + row * D_, p_.rope.cos + at, p_.rope.sin + at, D_);
  }

  /// Calls body(first window tile, its place in the ring, tiles) for stretches that are contiguous
  /// in the ring.
  template <class Body>
  void for_each_run(const Body& body) const {
    for (int64_t t = 0; t < n_tiles_;) {
      const int64_t place = (first_tile_ + t) % memory_.ring.n_tiles;
      const int64_t n = std::min({kRunTiles, n_tiles_ - t, memory_.ring.n_tiles - place});
      body(t, tile_.kv_head * memory_.ring.n_tiles + place, n);
      t += n;
    }
  }

  void score_window() {
    for_each_run([&](int64_t t, int64_t place, int64_t n) {
      multiply_rows({.a = q_,
                     .b = memory_.ring.k + place * D_ * kTileTokens,
                     .out = scores_ + t * kTileTokens,
                     .depth = D_,
                     .lda = D_,
                     .ldb = kTileTokens,
                     .b_block = D_ * kTileTokens,
                     .ldo = columns_,
                     .accumulate = false},
                    rows_, n);
    });
  }

  // The pool's rows lie anywhere in megabytes: asked for well before they are read.
  // Always inline: GCC drops calls of a function that does nothing but prefetch.
  HWY_INLINE void prefetch(const int8_t* codes, const float* scale, int64_t t, int64_t begin,
                           int64_t end) const {
    end = std::min(end, n_far(t));
    for (int64_t item = std::max(begin, n_sinks(t)); item < end; ++item) {
      const int64_t at = tile_.kv_head * memory_.n_slots + selected(t, item);
      __builtin_prefetch(scale + at);
      for (int64_t i = 0; i < D_; i += 64) __builtin_prefetch(codes + at * D_ + i);
    }
  }

  void score_far(int64_t t) {
    const int64_t n = n_far(t);
    prefetch(memory_.pool_k, memory_.pool_k_scale, t, 0, kPrefetchRows);
    for (int64_t base = 0; base < n; base += kLanes) {
      prefetch(memory_.pool_k, memory_.pool_k_scale, t, base + kPrefetchRows,
               base + kPrefetchRows + kLanes);
      bool is_near[kLanes] = {};
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        if (base + lane < n)
          is_near[lane] = load_key(t, base + lane, far_rows_ + lane * D_);
        else
          std::fill_n(far_rows_ + lane * D_, D_, 0.0f);
      }
      for (int64_t r = 0; r < n_rep_; ++r) {
        const int64_t row = t * n_rep_ + r;
        const float* queries[kLanes];
        for (int lane = 0; lane < kLanes; ++lane)
          queries[lane] = (is_near[lane] ? q_raw_ : q_far_) + row * D_;
        hn::StoreU(dot_rows<kLanes>(far_rows_, queries, D_), FloatTag(),
                   scores_ + row * columns_ + window_columns_ + base);
      }
    }
  }

  /// The key of a far item, turned back by its distance when that is below d_max: true then.
  bool load_key(int64_t t, int64_t item, float* row) const {
    int64_t key_position = item;
    if (item < n_sinks(t)) {
      std::copy_n(memory_.sink_k + (tile_.kv_head * memory_.n_sink + item) * D_, D_, row);
    } else {
      const int64_t slot = selected(t, item), at = tile_.kv_head * memory_.n_slots + slot;
      load_row(memory_.pool_k + at * D_, memory_.pool_k_scale[at], D_, row);
      key_position = memory_.page_first_position[slot / 16] + slot % 16;
    }
    const int64_t distance = std::max<int64_t>(0, position(t) - key_position);
    if (distance >= p_.rope.d_max) return false;
    rotate_row<-1>(row, p_.rope.cos + distance * (D_ / 2), p_.rope.sin + distance * (D_ / 2), D_);
    return true;
  }

  void load_value(int64_t t, int64_t item, float* row) const {
    if (item < n_sinks(t)) {
      std::copy_n(memory_.sink_v + (tile_.kv_head * memory_.n_sink + item) * D_, D_, row);
    } else {
      const int64_t at = tile_.kv_head * memory_.n_slots + selected(t, item);
      load_row(memory_.pool_v + at * D_, memory_.pool_v_scale[at], D_, row);
    }
  }

  void softmax(int64_t row) {
    const int64_t t = row / n_rep_, i = position(t), n_far_columns = columns_ - window_columns_;
    const int64_t origin = first_tile_ * kTileTokens;
    const int64_t begin = std::max(memory_.n_sink, i - p_.window + 1);
    float* window = scores_ + row * columns_;
    float* far = window + window_columns_;
    const float most =
        std::max(finish_scores(window, window_columns_, begin - origin, i + 1 - origin, p_.softcap),
                 finish_scores(far, n_far_columns, 0, n_far(t), p_.softcap));
    auto sum = hn::Zero(FloatTag());
    exp_scores(window, window_columns_, most, sum);
    exp_scores(far, n_far_columns, most, sum);
    const float total = ordered_sum(sum);
    weight_[row] = total > 0 ? 1.0f / total : 0.0f;
  }

  void add_window_values() {
    for_each_run([&](int64_t t, int64_t place, int64_t n) {
      const int64_t origin = first_tile_ * kTileTokens, run = origin + t * kTileTokens;
      const int64_t begin = std::max(window_begin_, run);
      const int64_t end = std::min(window_end_, run + n * kTileTokens);
      multiply_rows({.a = scores_ + begin - origin,
                     .b = memory_.ring.v + (place * kTileTokens + begin - run) * D_,
                     .out = sum_,
                     .depth = end - begin,
                     .lda = columns_,
                     .ldb = D_,
                     .b_block = 16,
                     .ldo = D_,
                     .accumulate = true},
                    rows_, D_ / 16);
    });
  }

  void add_far_values(int64_t t) {
    const int64_t n = n_far(t);
    prefetch(memory_.pool_v, memory_.pool_v_scale, t, 0, kPrefetchRows);
    for (int64_t base = 0; base < n; base += kValueRows) {
      prefetch(memory_.pool_v, memory_.pool_v_scale, t, base + kPrefetchRows,
               base + kPrefetchRows + kValueRows);
      const int64_t count = std::min(kValueRows, n - base);
      for (int64_t u = 0; u < count; ++u) load_value(t, base + u, far_rows_ + u * D_);
      multiply_rows({.a = scores_ + t * n_rep_ * columns_ + window_columns_ + base,
                     .b = far_rows_,
                     .out = sum_ + t * n_rep_ * D_,
                     .depth = count,
                     .lda = columns_,
                     .ldb = D_,
                     .b_block = 16,
                     .ldo = D_,
                     .accumulate = true},
                    n_rep_, D_ / 16);
    }
  }

  void write(int64_t t) const {
    const int64_t i = tile_.first + t;
    float* out = p_.out + (i * p_.H + tile_.kv_head * n_rep_) * D_;
    for (int64_t r = 0; r < n_rep_; ++r) {
      std::copy_n(sum_ + (t * n_rep_ + r) * D_, D_, out + r * D_);
      scale_values(out + r * D_, D_, weight_[t * n_rep_ + r]);
    }
    if (tile_.mass == nullptr) return;
    float* mass = tile_.mass + i * p_.k;
    std::fill_n(mass, p_.k, 0.0f);
    for (int64_t r = 0; r < n_rep_; ++r) {
      const int64_t row = t * n_rep_ + r;
      const float* p = scores_ + row * columns_ + window_columns_ + n_sinks(t);
      for (int64_t s = 0; s < n_selected(t); ++s) mass[s] += p[s] * weight_[row];
    }
  }

  const SparseTile& tile_;
  const SparseAttentionParams& p_;
  const SparseMemory& memory_;
  int64_t D_, n_rep_, rows_;
  int64_t window_begin_, window_end_;  // positions that some query of the tile sees
  int64_t first_tile_, n_tiles_, window_columns_, columns_;
  float* q_ = nullptr;         // [rows, D], the queries times the scale
  float* q_raw_ = nullptr;     // [rows, D]
  float* q_far_ = nullptr;     // [rows, D], turned by d_max
  float* sum_ = nullptr;       // [rows, D]
  float* scores_ = nullptr;    // [rows, columns], scores and then exp
  float* far_rows_ = nullptr;  // [16 + kValueRows, D]
  float* weight_ = nullptr;    // [rows], 1 / the softmax's sum
};

void sparse_tile(const SparseTile& tile) { SparseTileWork(tile).run(); }

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {

HWY_EXPORT(sparse_tile);

namespace {

constexpr int64_t kTileRows = 24;  // rows that share a pass over the window

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
  const int64_t n_kv_heads = params.memory.ring.n_kv_heads;
  const int64_t tile_queries = std::max<int64_t>(1, kTileRows / (params.H / n_kv_heads));
  const int64_t n_tiles = (params.n + tile_queries - 1) / tile_queries;
  const bool wants_mass = params.retrieved_mass != nullptr || params.pool_mass != nullptr;
  std::vector<float> masses;
  if (wants_mass) masses.resize(static_cast<size_t>(n_kv_heads * params.n * params.k));
  parallel_for(n_tiles * n_kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item / n_kv_heads * tile_queries, kv_head = item % n_kv_heads;
      float* mass = wants_mass ? masses.data() + kv_head * params.n * params.k : nullptr;
      HWY_DYNAMIC_DISPATCH(sparse_tile)
      ({&params, first, std::min(tile_queries, params.n - first), kv_head, mass});
    }
  });
  if (wants_mass) add_masses(params, masses);
}

}  // namespace dsrasq::kernels
#endif
