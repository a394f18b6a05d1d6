// Per-target header: compiled once per instruction set by the files that include it.
// Attention of a few neighbouring queries, for one KV head.

#if defined(DSRASQ_KERNELS_SPARSE_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_SPARSE_TILE_INL_H_
#undef DSRASQ_KERNELS_SPARSE_TILE_INL_H_
#else
#define DSRASQ_KERNELS_SPARSE_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <utility>

#include "dsrasq/kernels/attention_rows-inl.h"
#include "dsrasq/kernels/far_tokens-inl.h"
#include "dsrasq/kernels/scratch.h"
#include "dsrasq/kernels/sparse_attention_state.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kRunTiles = 4;  // window tiles whose values stay in the first cache
constexpr int64_t kGroup = 16;    // far tokens that are scored together
constexpr int64_t whole_groups(int64_t n) { return (n + kGroup - 1) / kGroup * kGroup; }

/// The work on one tile. Scores have one row of columns a query head: the window's tiles, then the
/// sinks, then the selected tokens of the row's query.
class SparseTileWork {
 public:
  explicit SparseTileWork(const SparseTile& tile)
      : tile_(tile),
        p_(*tile.params),
        memory_(p_.memory),
        D_(memory_.ring.head_dim),
        n_rep_(p_.H / memory_.ring.n_kv_heads),
        rows_(tile.n_queries * n_rep_),
        pool_k_(memory_.pool_k + first_slot() * D_),
        pool_v_(memory_.pool_v + first_slot() * D_),
        k_scale_(memory_.pool_k_scale + first_slot()),
        v_scale_(memory_.pool_v_scale + first_slot()) {
    const int64_t first = position(0), last = position(tile.n_queries - 1);
    window_begin_ = std::max(memory_.n_sink, first - p_.window + 1);
    window_end_ = std::max(window_begin_, last + 1);
    first_tile_ = window_begin_ / kTileTokens;
    n_tiles_ = (window_end_ - 1) / kTileTokens - first_tile_ + 1;
    if (window_end_ == window_begin_) n_tiles_ = 0;
    int64_t most = 0;  // tokens selected for a query
    for (int64_t t = 0; t < tile.n_queries; ++t) most = std::max(most, n_selected(t));
    // A group may begin at any token, hence one more group of columns.
    sink_column_ = n_tiles_ * kTileTokens;
    selected_column_ = sink_column_ + whole_groups(memory_.n_sink) + kGroup;
    columns_ = selected_column_ + whole_groups(most) + kGroup;
  }

  void run() {
    thread_local Scratch scratch;
    const int64_t n_far = columns_ - sink_column_;
    auto* next = scratch.get<float>(rows_ * (4 * D_ + columns_ + 1) + kGroup * D_ +
                                    (n_rep_ + 1) * n_far + memory_.n_sink);
    const auto take = [&](int64_t n) { return std::exchange(next, next + n); };
    q_ = take(rows_ * D_);
    q_near_ = take(rows_ * D_);
    q_far_ = take(rows_ * D_);
    sum_ = take(rows_ * D_);
    turned_ = take(kGroup * D_);
    scores_ = take(rows_ * columns_);
    scaled_ = take(n_rep_ * n_far);
    scale_ = take(n_far);
    weight_ = take(rows_);
    sink_index_ = reinterpret_cast<int32_t*>(take(memory_.n_sink));
    pack_queries();
    for (int64_t t = 0; t < tile_.n_queries; ++t)
      n_distant_[t] = count_distant(p_, tile_.first + t);
    ask_for_keys(0, 0, p_.k);
    score_window();
    score_sinks();
    for (int64_t t = 0; t < tile_.n_queries; ++t) score_selected(t);
    for (int64_t row = 0; row < rows_; ++row) softmax(row);
    std::fill_n(sum_, rows_ * D_, 0.0f);
    add_window_values();
    add_sink_values();
    for (int64_t t = 0; t < tile_.n_queries; ++t) add_selected_values(t);
    for (int64_t t = 0; t < tile_.n_queries; ++t) write(t);
  }

 private:
  int64_t position(int64_t t) const { return p_.pos0 + tile_.first + t; }
  int64_t n_sinks(int64_t t) const { return std::min(memory_.n_sink, position(t) + 1); }
  int64_t n_selected(int64_t t) const {
    return p_.n_selected == nullptr ? 0 : p_.n_selected[tile_.first + t];
  }
  const int32_t* selected(int64_t t) const { return p_.selected + (tile_.first + t) * p_.k; }
  int64_t first_slot() const { return tile_.kv_head * memory_.n_slots; }
  void turn_queries(float* rows, int64_t t, int64_t n, int64_t distance) const {
    const float* cos = p_.rope.cos + distance * (D_ / 2);
    const float* sin = p_.rope.sin + distance * (D_ / 2);
    for (int64_t row = t * n_rep_; row < (t + n) * n_rep_; ++row)
      rotate_row(rows + row * D_, cos, sin, D_);
  }

  void pack_queries() {
    pack_query_rows(p_.q, tile_.first, tile_.n_queries, p_.H, tile_.kv_head, n_rep_, D_, p_.scale,
                    q_);
    pack_query_rows(p_.q_raw, tile_.first, tile_.n_queries, p_.H, tile_.kv_head, n_rep_, D_,
                    p_.scale, q_near_);
    std::copy_n(q_near_, rows_ * D_, q_far_);
    turn_queries(q_far_, 0, tile_.n_queries, p_.rope.d_max);
    for (int64_t t = 0; t < tile_.n_queries; ++t)
      turn_queries(q_near_, t, 1, position(t) - tile_.base);
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
  template <class T>
  HWY_INLINE void ask_for_row(const T* row) const {
    for (int64_t i = 0; i < D_; i += 64 / static_cast<int64_t>(sizeof(T)))
      __builtin_prefetch(row + i, 0, 2);
  }
  HWY_INLINE void ask_for_keys(int64_t t, int64_t begin, int64_t end) const {
    if (t >= tile_.n_queries) return;
    end = std::min(end, n_selected(t));
    const int64_t n_codes = tile_.turned == nullptr ? end : std::min(end, n_distant_[t]);
    for (int64_t i = begin; i < n_codes; ++i) {
      __builtin_prefetch(k_scale_ + selected(t)[i], 0, 2);
      ask_for_row(pool_k_ + selected(t)[i] * D_);
    }
    for (int64_t i = std::max(begin, n_codes); i < end; ++i)
      ask_for_row(turned_rows() + turned_index(t)[i] * D_);
  }
  HWY_INLINE void ask_for_values(int64_t t, int64_t begin, int64_t end) const {
    end = std::min(end, n_selected(t));
    for (int64_t i = begin; i < end; ++i) {
      __builtin_prefetch(v_scale_ + selected(t)[i], 0, 2);
      ask_for_row(pool_v_ + selected(t)[i] * D_);
    }
  }

  const float* turned_rows() const {
    return tile_.turned->rows + tile_.kv_head * tile_.turned->n_rows * D_;
  }
  const int32_t* turned_index(int64_t t) const {
    return tile_.turned->index + (tile_.first + t) * p_.k;
  }

  void score_sinks() {
    const float* keys = memory_.sink_k + tile_.kv_head * memory_.n_sink * D_;
    for (int64_t i = 0; i < memory_.n_sink; ++i) sink_index_[i] = static_cast<int32_t>(i);
    for (int64_t t = 0; t < tile_.n_queries; ++t) {
      const int64_t n = n_sinks(t);
      const int64_t n_distant = std::clamp<int64_t>(position(t) - p_.rope.d_max + 1, 0, n);
      float* out = scores_ + t * n_rep_ * columns_ + sink_column_;
      for (int64_t base = 0; base < n_distant; base += kGroup)
        score_group(q_far_, t, keys, sink_index_, nullptr, base, n, out);
      for (int64_t base = n_distant; base < n; base += kGroup) {
        for (int64_t i = base; i < std::min(base + kGroup, n); ++i)
          turn(keys + i * D_, 1.0f, i, i - base);
        score_turned(t, base, n, out);
      }
    }
  }

  void score_selected(int64_t t) {
    const int64_t n = n_selected(t), n_distant = n_distant_[t];
    const int32_t* slots = selected(t);
    float* out = scores_ + t * n_rep_ * columns_ + selected_column_;
    for (int64_t base = 0; base < n_distant; base += kGroup) {
      ask_for_keys(t + 1, base, std::min(base + kGroup, n_distant));
      ask_for_values(t, base, std::min(base + kGroup, n_distant));
      HWY_ALIGN float scale[kGroup] = {};
      for (int64_t lane = 0; lane < std::min(kGroup, n - base); ++lane)
        scale[lane] = k_scale_[slots[base + lane]];
      score_group(q_far_, t, pool_k_, slots, scale, base, n, out);
    }
    for (int64_t base = n_distant; base < n; base += kGroup) {
      ask_for_keys(t + 1, base, base + kGroup);
      ask_for_values(t, base, base + kGroup);
      if (tile_.turned != nullptr) {
        score_group(q_near_, t, turned_rows(), turned_index(t), nullptr, base, n, out);
        continue;
      }
      for (int64_t i = base; i < std::min(base + kGroup, n); ++i)
        turn(pool_k_ + slots[i] * D_, k_scale_[slots[i]], position_of(memory_, slots[i]), i - base);
      score_turned(t, base, n, out);
    }
  }

  /// Turns a key from its position to the base: row `lane` of `turned_`.
  template <class T>
  HWY_INLINE void turn(const T* key, float scale, int64_t from, int64_t lane) {
    const int64_t d_max = p_.rope.d_max;
    load_turned_row(key, scale, p_.rope.cos, p_.rope.sin,
                    std::clamp(tile_.base - from, -d_max, d_max), D_, turned_ + lane * D_);
  }

  /// Scores of tokens base .. base + 15 as far as they are below n, whose rows `index` names.
  template <class T>
  HWY_INLINE void score_group(const float* q, int64_t t, const T* rows, const int32_t* index,
                              const float* scale, int64_t base, int64_t n, float* out) const {
    int32_t whole[kGroup];
    index += base;
    if (n - base < kGroup) {
      for (int64_t lane = 0; lane < kGroup; ++lane)
        whole[lane] = index[std::min(lane, n - base - 1)];
      index = whole;
    }
    score_rows(rows, index, scale, q + t * n_rep_ * D_, n_rep_, D_, out + base, columns_);
  }

  /// The same of the keys in `turned_`.
  HWY_INLINE void score_turned(int64_t t, int64_t base, int64_t n, float* out) const {
    constexpr int32_t kInOrder[kGroup] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    score_group(q_near_, t, turned_, kInOrder, nullptr, 0, n - base, out + base);
  }

  void softmax(int64_t row) {
    const int64_t t = row / n_rep_, i = position(t);
    const int64_t origin = first_tile_ * kTileTokens;
    const int64_t begin = std::max(memory_.n_sink, i - p_.window + 1);
    float* scores = scores_ + row * columns_;
    const struct {
      float* scores;
      int64_t n, first, last;
    } parts[] = {{scores, sink_column_, begin - origin, i + 1 - origin},
                 {scores + sink_column_, whole_groups(n_sinks(t)), 0, n_sinks(t)},
                 {scores + selected_column_, whole_groups(n_selected(t)), 0, n_selected(t)}};
    float most = kMinusInfinity;
    for (const auto& part : parts)
      most = std::max(most, finish_scores(part.scores, part.n, part.first, part.last, p_.softcap));
    auto sum = hn::Zero(FloatTag());
    for (const auto& part : parts) exp_differences(part.scores, part.n, most, sum);
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

  void add_sink_values() {
    for (int64_t t = 0; t < tile_.n_queries; ++t)
      multiply_rows({.a = scores_ + t * n_rep_ * columns_ + sink_column_,
                     .b = memory_.sink_v + tile_.kv_head * memory_.n_sink * D_,
                     .out = sum_ + t * n_rep_ * D_,
                     .depth = n_sinks(t),
                     .lda = columns_,
                     .ldb = D_,
                     .b_block = 16,
                     .ldo = D_,
                     .accumulate = true},
                    n_rep_, D_ / 16);
  }

  void add_selected_values(int64_t t) {
    const int64_t n = n_selected(t), ld = whole_groups(n);
    const int32_t* slots = selected(t);
    for (int64_t i = 0; i < n; ++i) scale_[i] = v_scale_[slots[i]];
    std::fill(scale_ + n, scale_ + ld, 0.0f);
    const FloatTag d;
    for (int64_t r = 0; r < n_rep_; ++r) {
      const float* p = scores_ + (t * n_rep_ + r) * columns_ + selected_column_;
      for (int64_t i = 0; i < ld; i += kLanes)
        hn::StoreU(hn::Mul(hn::LoadU(d, p + i), hn::LoadU(d, scale_ + i)), d, scaled_ + r * ld + i);
    }
    add_rows(pool_v_, slots, n, scaled_, ld, n_rep_, D_, sum_ + t * n_rep_ * D_);
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
      const float* p = scores_ + row * columns_ + selected_column_;
      for (int64_t s = 0; s < n_selected(t); ++s) mass[s] += p[s] * weight_[row];
    }
  }

  const SparseTile& tile_;
  const SparseAttentionParams& p_;
  const SparseMemory& memory_;
  int64_t D_, n_rep_, rows_;
  const int8_t* pool_k_;  // of the tile's KV head, like the next three
  const int8_t* pool_v_;
  const float* k_scale_;
  const float* v_scale_;
  int64_t window_begin_, window_end_;  // positions that some query of the tile sees
  int64_t first_tile_, n_tiles_;
  int64_t sink_column_, selected_column_, columns_;
  int64_t n_distant_[kTileRows];   // selected tokens of each query that are at least d_max away
  float* q_ = nullptr;             // [rows, D], the queries times the scale
  float* q_near_ = nullptr;        // [rows, D], the queries before RoPE turned from the base
  float* q_far_ = nullptr;         // [rows, D], turned by d_max
  float* sum_ = nullptr;           // [rows, D]
  float* scores_ = nullptr;        // [rows, columns], scores and then exp
  float* turned_ = nullptr;        // [16, D], keys turned to the base
  float* scaled_ = nullptr;        // [n_rep, selected], exp times the values' scales
  float* scale_ = nullptr;         // [selected]
  float* weight_ = nullptr;        // [rows], 1 / the softmax's sum
  int32_t* sink_index_ = nullptr;  // [n_sink], 0, 1, ...
};

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
